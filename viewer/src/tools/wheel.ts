// Wheels and trackpads, as whole steps. A wheel sends few large turns, a trackpad many small ones; neither says which
// it is. Pure: pixels in, steps out.

/** Pixels of a trackpad that are one step. */
export const WHEEL_STEP = 60;
/** From here on it is a wheel, whose notch is 53 to 150 pixels by browser, system and display. */
const NOTCH = 50;
/** What several notches in one event, as a fast turn sends them, are divided by. */
const TALLEST_NOTCH = 150;

/** Steps for each turn that is told: one for each notch of a wheel, one for every `WHEEL_STEP` of a trackpad. */
export function wheelNotches(): (pixels: number) => number {
  let rest = 0;
  return (pixels) => {
    if (Math.abs(pixels) >= NOTCH) {
      rest = 0;
      return Math.sign(pixels) * Math.max(1, Math.floor(Math.abs(pixels) / TALLEST_NOTCH));
    }
    rest = Math.sign(pixels) === Math.sign(rest) ? rest + pixels : pixels;
    const steps = Math.trunc(rest / WHEEL_STEP);
    rest -= steps * WHEEL_STEP;
    return steps;
  };
}
