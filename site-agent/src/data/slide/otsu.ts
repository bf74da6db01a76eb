/**
 * Otsu 1979: the threshold that parts a histogram into two classes of greatest variance between them.
 * @returns the last bin of the lower class; the first bin with values where there is only one
 */
export function otsuThreshold(histogram: ArrayLike<number>): number {
  let [count, sum] = [0, 0];
  for (let bin = 0; bin < histogram.length; bin++) {
    count += histogram[bin]!;
    sum += histogram[bin]! * bin;
  }
  let [lowerCount, lowerSum, best, threshold] = [0, 0, -1, 0];
  for (let bin = 0; bin < histogram.length; bin++) {
    lowerCount += histogram[bin]!;
    lowerSum += histogram[bin]! * bin;
    if (lowerCount === 0) continue;
    const upperCount = count - lowerCount;
    const difference = upperCount === 0 ? 0 : lowerSum / lowerCount - (sum - lowerSum) / upperCount;
    const between = lowerCount * upperCount * difference * difference;
    if (between > best) [best, threshold] = [between, bin];
    if (upperCount === 0) break;
  }
  return threshold;
}
