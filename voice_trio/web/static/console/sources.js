/** The documents of an answer. One whose passage may be opened is a button; a click is a `passage` event of the list. */

import { PAGE, icon, make } from "./dom.js";
import { t } from "./strings.js";

const SHOWN = 2;

/** The first passages, and a button that shows the others. */
export function sourceLists(passages) {
  const rest = passages.slice(SHOWN);
  if (rest.length < 2) return [listOf(passages)];
  const more = make("details", "more");
  more.append(make("summary", "", t("turn.more", { n: rest.length })), listOf(rest));
  return [listOf(passages.slice(0, SHOWN)), more];
}

function listOf(passages) {
  const list = make("ul", "sources");
  list.setAttribute("aria-label", t("turn.sources"));
  list.append(...passages.map(sourceElement));
  return list;
}

function sourceElement(passage) {
  const { id, title, source } = passage;
  const item = make("li");
  const words = make("span");
  words.append(make("span", "title", title), source && source !== title ? make("span", "source", ` ${source}`) : "");
  if (!id) {
    item.append(icon(PAGE), words);
    return item;
  }
  const button = make("button", "open");
  button.type = "button";
  button.setAttribute("aria-label", t("passage.open", { title: source && source !== title ? `${title}, ${source}` : title }));
  button.append(icon(PAGE), words);
  button.onclick = () => button.dispatchEvent(new CustomEvent("passage", { bubbles: true, detail: passage }));
  item.append(button);
  return item;
}
