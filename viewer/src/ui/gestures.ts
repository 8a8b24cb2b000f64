// Pointer and wheel on a picture, as drags, wheels and pinches with names; no knowledge of what they do.

import { buttonOf, type Button } from "../tools/bindings";
import { WHEEL_STEP, wheelNotches } from "../tools/wheel";
import type { Point } from "../volume/raster";

export interface Drag {
  readonly button: Button;
  readonly touch: boolean;
  readonly from: Point;
  readonly at: Point;
  /** Since the last event. */
  readonly dx: number;
  readonly dy: number;
}

export interface GestureHandlers {
  start(drag: Drag): void;
  move(drag: Drag): void;
  end(drag: Drag, moved: boolean): void;
  /** What the drag began is not to be: a second finger came, or the browser took the pointer away. */
  cancel(): void;
  hover(at: Point | null): void;
  wheel(at: Point, steps: number, keys: { ctrl: boolean; shift: boolean }): void;
  pinch(at: Point, factor: number, dx: number, dy: number, turn: number): void;
}

const STILL = 3;

export function attachGestures(element: HTMLElement, handlers: GestureHandlers): () => void {
  const down = new Map<number, Point>();
  let drag: { id: number; button: Button; from: Point; last: Point; moved: boolean; touch: boolean } | null = null;
  const notches = wheelNotches();

  const place = (event: { clientX: number; clientY: number }): Point => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const asDrag = (at: Point): Drag => ({ button: drag!.button, touch: drag!.touch, from: drag!.from, at, dx: at.x - drag!.last.x, dy: at.y - drag!.last.y });

  const onDown = (event: PointerEvent): void => {
    const at = place(event);
    down.set(event.pointerId, at);
    try {
      element.setPointerCapture(event.pointerId);
    } catch {
      // A pointer that is gone already cannot be captured.
    }
    element.focus({ preventScroll: true });
    if (down.size > 1) {
      if (drag) handlers.cancel();
      drag = null;
      return;
    }
    drag = { id: event.pointerId, button: buttonOf(event), from: at, last: at, moved: false, touch: event.pointerType === "touch" };
    handlers.start(asDrag(at));
    // A finger that only taps never moves.
    if (drag.touch) handlers.hover(at);
  };

  const onMove = (event: PointerEvent): void => {
    const at = place(event);
    const before = down.get(event.pointerId);
    if (down.size === 2 && before) pinched(event.pointerId, before, at);
    if (before) down.set(event.pointerId, at);
    if (drag?.id === event.pointerId) {
      drag.moved ||= Math.hypot(at.x - drag.from.x, at.y - drag.from.y) > STILL;
      handlers.move(asDrag(at));
      drag.last = at;
    }
    if (event.pointerType !== "touch" || drag) handlers.hover(at);
  };

  const pinched = (id: number, before: Point, at: Point): void => {
    const other = [...down].find(([each]) => each !== id)?.[1];
    if (!other) return;
    const [was, is] = [{ x: before.x - other.x, y: before.y - other.y }, { x: at.x - other.x, y: at.y - other.y }];
    const factor = Math.hypot(is.x, is.y) / Math.max(1, Math.hypot(was.x, was.y));
    const turn = ((Math.atan2(is.y, is.x) - Math.atan2(was.y, was.x)) * 180) / Math.PI;
    handlers.pinch({ x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 }, factor, (at.x - before.x) / 2, (at.y - before.y) / 2, ((turn + 540) % 360) - 180);
  };

  const onUp = (event: PointerEvent): void => {
    down.delete(event.pointerId);
    if (drag?.id !== event.pointerId) return;
    if (event.type === "pointercancel") {
      drag = null;
      handlers.cancel();
      return;
    }
    const last = asDrag(place(event));
    const moved = drag.moved;
    drag = null;
    handlers.end(last, moved);
  };

  const onWheel = (event: WheelEvent): void => {
    event.preventDefault();
    const pixels = (event.deltaY || event.deltaX) * (event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? 200 : 1);
    const steps = notches(pixels);
    if (event.ctrlKey) handlers.wheel(place(event), pixels / WHEEL_STEP, { ctrl: true, shift: false });
    else if (steps) handlers.wheel(place(event), steps, { ctrl: false, shift: event.shiftKey });
  };

  const onLeave = (): void => {
    if (!drag) handlers.hover(null);
  };
  const onMenu = (event: Event): void => event.preventDefault();

  element.addEventListener("pointerdown", onDown);
  element.addEventListener("pointermove", onMove);
  element.addEventListener("pointerup", onUp);
  element.addEventListener("pointercancel", onUp);
  element.addEventListener("pointerleave", onLeave);
  element.addEventListener("wheel", onWheel, { passive: false });
  element.addEventListener("contextmenu", onMenu);
  return () => {
    element.removeEventListener("pointerdown", onDown);
    element.removeEventListener("pointermove", onMove);
    element.removeEventListener("pointerup", onUp);
    element.removeEventListener("pointercancel", onUp);
    element.removeEventListener("pointerleave", onLeave);
    element.removeEventListener("wheel", onWheel);
    element.removeEventListener("contextmenu", onMenu);
  };
}
