// A component that is drawn again only when one of its properties is another value: of a long list, only the entries that changed.
import { Component, type ComponentClass, createElement, type JSX } from "preact";

/** @param inner may still draw itself again by its own hooks */
export function memo<Props extends object>(inner: (props: Props) => JSX.Element | null): ComponentClass<Props> {
  return class extends Component<Props> {
    override shouldComponentUpdate(next: Readonly<Props>): boolean {
      return !areSame(this.props, next);
    }

    override render(): JSX.Element {
      return createElement(inner, this.props);
    }
  };
}

function areSame(before: object, after: object): boolean {
  const entries = Object.entries(after);
  const known = new Map(Object.entries(before));
  return entries.length === known.size && entries.every(([name, value]) => Object.is(known.get(name), value));
}
