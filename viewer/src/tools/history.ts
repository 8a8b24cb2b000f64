// States to go back to and forward again.

export class History<State> {
  private readonly before: State[] = [];
  private after: State[] = [];

  constructor(private readonly limit = 100) {}

  /** Remember `state`, which is about to be replaced. */
  push(state: State): void {
    this.before.push(state);
    if (this.before.length > this.limit) this.before.shift();
    this.after = [];
  }

  undo(now: State): State | undefined {
    const state = this.before.pop();
    if (state !== undefined) this.after.push(now);
    return state;
  }

  redo(now: State): State | undefined {
    const state = this.after.pop();
    if (state !== undefined) this.before.push(now);
    return state;
  }
}
