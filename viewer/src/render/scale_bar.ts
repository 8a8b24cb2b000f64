// The length of a bar that is a round number of mm and at most so many pixels long.

export interface Bar {
  readonly mm: number;
  readonly pixels: number;
  readonly text: string;
}

export function scaleBar(pixelsPerMm: number, longest: number): Bar {
  const most = longest / pixelsPerMm;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [5, 2, 1].find((digit) => digit * power <= most) ?? 1;
  const mm = step * power;
  return { mm, pixels: mm * pixelsPerMm, text: mm >= 10 ? `${+(mm / 10).toPrecision(3)} cm` : `${+mm.toPrecision(3)} mm` };
}
