// Small line drawings, 20 × 20, in the colour of the text.

const PATHS = {
  turnRight: "M15.500 7A6.500 6.500 0 1 0 16.500 11M16 3v4.500h-4.500",
  turnLeft: "M4.500 7A6.500 6.500 0 1 1 3.500 11M4 3v4.500h4.500",
  flipHorizontal: "M10 2v16M8 5 3 15h5zM12 5l5 10h-5z",
  flipVertical: "M2 10h16M5 8 15 3v5zM5 12l10 5v-5z",
  invert: "M3 3h14v14H3zM3 17 17 3v14z",
  reset: "M4 10a6 6 0 1 1 2 4.500M4 5v5h5",
  play: "M6 4l10 6-10 6z",
  pause: "M6.500 4v12M13.500 4v12",
  stack: "M3 7l7-4 7 4-7 4zM3 10.500l7 4 7-4M3 14l7 4 7-4",
  planes: "M3 3h6v14H3zM11 3h6v6h-6zM11 11h6v6h-6z",
  numbers: "M3 17V3M3 17h14M6 17v-5M9.500 17V6M13 17v-8",
  tags: "M3 10V3h7l7 7-7 7zM6.500 6.500h.01",
  measure: "M2.500 13.500l11-11 4 4-11 11zM6 10l1.500 1.500M8.500 7.500 10 9M11 5l1.500 1.500",
  layers: "M10 3 2.500 7l7.500 4 7.500-4zM2.500 10.500l7.500 4 7.500-4M6 7l4 2 4-2",
  eye: "M2 10c2-3.500 5-5 8-5s6 1.500 8 5c-2 3.500-5 5-8 5s-6-1.500-8-5zM10 7.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5",
  eyeOff: "M3 10c1.800-3 4.400-4.500 7-4.500 1.200 0 2.300.300 3.300.800M17 10c-1.800 3-4.400 4.500-7 4.500-1.200 0-2.300-.300-3.300-.800M4 16 16 4",
  rail: "M3 4h4v4H3zM3 12h4v4H3zM10 5h7M10 13h7",
  back: "M12.500 4l-6 6 6 6",
  help: "M7 7.500A3 3 0 1 1 10 10.500V12M10 15.500h.01",
  theme: "M10 3a7 7 0 1 0 7 7 5 5 0 0 1-7-7z",
  download: "M10 3v11M6 10l4 4 4-4M3 13v4h14v-4",
  upload: "M10 14V3M6 7l4-4 4 4M3 13v4h14v-4",
  remove: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  close: "M5 5l10 10M15 5 5 15",
  alone: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
  compare: "M3 4h6v12H3zM11 4h6v12h-6z",
  link: "M8.500 11.500l3-3M7 9 5 11a2.800 2.800 0 0 0 4 4l2-2M13 11l2-2a2.800 2.800 0 0 0-4-4L9 7",
  search: "M8.500 3a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11M12.600 12.600 17.500 17.500",
  png: "M3 4h14v12H3zM3 14l4-4 3 3 3-4 4 4",
  smooth: "M3 14h3.500v-4H10V7h3.500V4H17",
  undo: "M7 4 3.500 7.500 7 11M4 7.500h7a4.500 4.500 0 0 1 0 9H8",
  redo: "M13 4l3.500 3.500L13 11M16 7.500H9a4.500 4.500 0 0 0 0 9h3",
} as const;

export type IconName = keyof typeof PATHS;

/** By name, or a path of its own. */
export function Icon({ name }: { name: IconName | `M${string}` }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={name in PATHS ? PATHS[name as IconName] : name} />
    </svg>
  );
}

interface ButtonProps {
  readonly icon: IconName | `M${string}`;
  readonly name: string;
  readonly hint?: string | undefined;
  readonly pressed?: boolean | undefined;
  readonly disabled?: boolean;
  readonly text?: boolean;
  /** A class of its own. */
  readonly kind?: string;
  readonly onClick: () => void;
}

/** A button with an icon; its name is its tooltip, and read out. */
export function IconButton({ icon, name, hint, pressed, disabled, text, kind, onClick }: ButtonProps) {
  return (
    <button class={["tool", text ? "with-text" : "", kind ?? ""].filter(Boolean).join(" ")} title={hint ? `${name}  (${hint})` : name} aria-label={name} aria-pressed={pressed} disabled={disabled} onClick={onClick}>
      <Icon name={icon} />
      {text && <span>{name}</span>}
    </button>
  );
}
