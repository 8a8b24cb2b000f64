// Colours for 256 greys, between a few stops each.

export type ColourMapName = "grey" | "hot" | "ice" | "spectrum";
export const COLOUR_MAPS: readonly ColourMapName[] = ["grey", "hot", "ice", "spectrum"];

type Stop = readonly [number, number, number, number];

const STOPS: Record<ColourMapName, readonly Stop[]> = {
  grey: [
    [0, 0, 0, 0],
    [255, 255, 255, 255],
  ],
  hot: [
    [0, 0, 0, 0],
    [95, 200, 0, 0],
    [190, 255, 190, 0],
    [255, 255, 255, 255],
  ],
  ice: [
    [0, 0, 0, 0],
    [110, 20, 70, 150],
    [200, 120, 200, 230],
    [255, 255, 255, 255],
  ],
  spectrum: [
    [0, 38, 18, 90],
    [64, 38, 100, 200],
    [128, 50, 190, 120],
    [192, 240, 200, 60],
    [255, 220, 50, 40],
  ],
};

/** 256 × RGB. */
export function colourMap(name: ColourMapName): Uint8ClampedArray {
  const stops = STOPS[name];
  const colours = new Uint8ClampedArray(256 * 3);
  for (let shade = 0; shade < 256; shade++) {
    const next = Math.max(1, stops.findIndex((stop) => stop[0] >= shade));
    const [from, to] = [stops[next - 1]!, stops[next]!];
    const part = (shade - from[0]) / (to[0] - from[0]);
    for (let channel = 1; channel <= 3; channel++) colours[shade * 3 + channel - 1] = from[channel]! + (to[channel]! - from[channel]!) * part;
  }
  return colours;
}
