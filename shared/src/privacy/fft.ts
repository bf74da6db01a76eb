/** Complex numbers as two arrays of equal length, a power of two. */
export interface Complex {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** A discrete Fourier transform of one size, in place; the inverse includes the factor 1/n. */
export interface FourierTransform {
  readonly size: number;
  forward(values: Complex): void;
  inverse(values: Complex): void;
}

/** Radix 2, with every root of unity computed directly: products of roots would lose digits. `size` is a power of two. */
export function fourierTransform(size: number): FourierTransform {
  const half = size / 2;
  const cosines = Float64Array.from({ length: half }, (_, k) => Math.cos((2 * Math.PI * k) / size));
  const sines = Float64Array.from({ length: half }, (_, k) => Math.sin((2 * Math.PI * k) / size));

  function forward({ re, im }: Complex): void {
    reverseBits(re);
    reverseBits(im);
    for (let width = 1; width < size; width *= 2) {
      const stride = half / width;
      for (let start = 0; start < size; start += 2 * width) {
        for (let k = 0; k < width; k++) {
          const upper = start + k;
          const lower = upper + width;
          const c = cosines[k * stride]!;
          const s = sines[k * stride]!;
          const x = re[lower]! * c + im[lower]! * s;
          const y = im[lower]! * c - re[lower]! * s;
          re[lower] = re[upper]! - x;
          im[lower] = im[upper]! - y;
          re[upper] = re[upper]! + x;
          im[upper] = im[upper]! + y;
        }
      }
    }
  }

  return {
    size,
    forward,
    inverse({ re, im }) {
      // Swapping the parts conjugates before and after.
      forward({ re: im, im: re });
      for (let i = 0; i < size; i++) {
        re[i] = re[i]! / size;
        im[i] = im[i]! / size;
      }
    },
  };
}

function reverseBits(values: Float64Array): void {
  const size = values.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; (j & bit) !== 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      const swapped = values[i]!;
      values[i] = values[j]!;
      values[j] = swapped;
    }
  }
}

/** z ← z^power for each value, with a whole power of at least one. */
export function raise({ re, im }: Complex, power: number): void {
  for (let i = 0; i < re.length; i++) {
    const magnitude = Math.hypot(re[i]!, im[i]!) ** power;
    const angle = Math.atan2(im[i]!, re[i]!) * power;
    re[i] = magnitude * Math.cos(angle);
    im[i] = magnitude * Math.sin(angle);
  }
}

/** a ← a·b for each value. */
export function multiply(a: Complex, b: Complex): void {
  for (let i = 0; i < a.re.length; i++) {
    const x = a.re[i]! * b.re[i]! - a.im[i]! * b.im[i]!;
    a.im[i] = a.re[i]! * b.im[i]! + a.im[i]! * b.re[i]!;
    a.re[i] = x;
  }
}
