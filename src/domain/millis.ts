/** Milliseconds: a duration, or an instant on the clock that the context names. */
export type Millis = number;
