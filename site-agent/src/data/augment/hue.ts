/** A place from 0 to less than two turns, in sixths of a turn, brought to the first turn. */
function onCircle(place: number): number {
  return place < 6 ? place : place - 6;
}

/** Hue of a colour in sixths of a turn, 0 … 6. Undefined for grey. */
function hueOf(red: number, green: number, blue: number): number {
  const largest = Math.max(red, green, blue);
  const chroma = largest - Math.min(red, green, blue);
  if (largest === red) return onCircle((green - blue) / chroma + 6);
  return largest === green ? (blue - red) / chroma + 2 : (red - green) / chroma + 4;
}

/** Share of the chroma that a channel lacks; `distance` is its place on the circle in sixths of a turn, below 12. */
function lack(distance: number): number {
  const place = onCircle(distance);
  return Math.max(0, Math.min(place, 4 - place, 1));
}

/** Turns the hue of interleaved red, green, blue in 0 … 1 by `turns` of the colour circle, in place. */
export function shiftHue(pixels: Float32Array, turns: number): void {
  const shift = onCircle(((turns % 1) + 1) * 6);
  for (let at = 0; at < pixels.length; at += 3) {
    const red = pixels[at]!;
    const green = pixels[at + 1]!;
    const blue = pixels[at + 2]!;
    const largest = Math.max(red, green, blue);
    const chroma = largest - Math.min(red, green, blue);
    if (chroma === 0) continue;
    const hue = onCircle(hueOf(red, green, blue) + shift);
    pixels[at] = largest - chroma * lack(5 + hue);
    pixels[at + 1] = largest - chroma * lack(3 + hue);
    pixels[at + 2] = largest - chroma * lack(1 + hue);
  }
}
