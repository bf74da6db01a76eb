/** Hue of a colour in sixths of a turn, 0 … 6. Undefined for grey. */
function hueOf(red: number, green: number, blue: number): number {
  const largest = Math.max(red, green, blue);
  const chroma = largest - Math.min(red, green, blue);
  if (largest === red) return ((green - blue) / chroma + 6) % 6;
  return largest === green ? (blue - red) / chroma + 2 : (red - green) / chroma + 4;
}

/** Share of the chroma that a channel lacks; `distance` is its place on the circle in sixths of a turn. */
function lack(distance: number): number {
  const place = distance % 6;
  return Math.max(0, Math.min(place, 4 - place, 1));
}

/** Turns the hue of interleaved red, green, blue in 0 … 1 by `turns` of the colour circle, in place. */
export function shiftHue(pixels: Float32Array, turns: number): void {
  const shift = ((turns % 1) + 1) * 6;
  for (let at = 0; at < pixels.length; at += 3) {
    const red = pixels[at]!;
    const green = pixels[at + 1]!;
    const blue = pixels[at + 2]!;
    const largest = Math.max(red, green, blue);
    const chroma = largest - Math.min(red, green, blue);
    if (chroma === 0) continue;
    const hue = hueOf(red, green, blue) + shift;
    pixels[at] = largest - chroma * lack(5 + hue);
    pixels[at + 1] = largest - chroma * lack(3 + hue);
    pixels[at + 2] = largest - chroma * lack(1 + hue);
  }
}
