// Every tool of the page, in the order of the bar: those that move the picture, and those that measure.

import { angle } from "./kinds/angle";
import { bidirectional } from "./kinds/bidirectional";
import { cobb } from "./kinds/cobb";
import { ellipse } from "./kinds/ellipse";
import { freehand } from "./kinds/freehand";
import { length } from "./kinds/length";
import { probe } from "./kinds/probe";
import { rectangle } from "./kinds/rectangle";
import type { MeasuringTool } from "./tool";

/** One row a tool: adding one is a file in `kinds` and its row here. */
const MEASURING = [probe, length, bidirectional, angle, cobb, rectangle, ellipse, freehand] as const;

export type Kind = (typeof MEASURING)[number]["name"];
export const MEASURING_TOOLS: readonly MeasuringTool<Kind>[] = MEASURING;

/** A tool that moves or windows the picture; what it does is in `ui/interaction`. */
export interface HandTool {
  readonly name: "window" | "pan" | "zoom" | "scroll" | "crosshair";
  readonly words: readonly [english: string, chinese: string];
  readonly key: string | null;
  readonly icon: `M${string}`;
}

export const HAND_TOOLS: readonly HandTool[] = [
  { name: "window", words: ["Window and level", "窗宽窗位"], key: "w", icon: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14" },
  { name: "pan", words: ["Pan", "平移"], key: "p", icon: "M10 2v16M2 10h16M10 2 8 4.5M10 2l2 2.5M10 18l-2-2.5M10 18l2-2.5M2 10l2.5-2M2 10l2.5 2M18 10l-2.5-2M18 10l-2.5 2" },
  { name: "zoom", words: ["Zoom", "缩放"], key: "z", icon: "M8.5 3a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M12.6 12.6 17.5 17.5M8.5 6v5M6 8.5h5" },
  { name: "scroll", words: ["Scroll", "滚动"], key: "b", icon: "M4 5h12M4 10h12M4 15h12M2 5h0M2 10h0M2 15h0" },
  { name: "crosshair", words: ["Crosshair", "十字线"], key: null, icon: "M10 2v6M10 12v6M2 10h6M12 10h6" },
];

export type Tool = HandTool["name"] | Kind;
export const TOOLS: readonly (HandTool | MeasuringTool<Kind>)[] = [...HAND_TOOLS, ...MEASURING_TOOLS];

const BY_KIND = new Map(MEASURING_TOOLS.map((tool) => [tool.name, tool]));

export const toolOf = (kind: Kind): MeasuringTool<Kind> => BY_KIND.get(kind)!;
export const isKind = (name: unknown): name is Kind => BY_KIND.has(name as Kind);
export const isRegion = (kind: Kind): boolean => toolOf(kind).contains !== undefined;
