/** A passage in a dialog: the text that the model was given. It is shown as text: it may hold anything. */

import { $, make } from "./dom.js";
import { hasText, t } from "./strings.js";

let opened = "";

/** Open the dialog; `get(id)` as VoiceClient's `getPassage`. */
export async function openPassage({ id, title, source }, get) {
  opened = id;
  fill(title, source, [make("p", "quiet", t("passage.loading"))]);
  if (!$("passage").open) $("passage").showModal();
  try {
    const { text } = await get(id);
    if (opened === id) fill(title, source, paragraphs(text));
  } catch ({ code }) {
    const key = hasText(`passage.${code}`) ? `passage.${code}` : "passage.unreachable";
    if (opened === id) fill(title, source, [make("p", "quiet", t(key))]);
  }
}

function fill(title, source, nodes) {
  $("passage-title").textContent = title;
  $("passage-source").textContent = source && source !== title ? source : "";
  $("passage-text").replaceChildren(...nodes);
  $("passage-text").scrollTop = 0;
}

const paragraphs = (text) => text.split(/\n{2,}/).filter((part) => part.trim()).map((part) => make("p", "", part.trim()));

$("passage-close").onclick = () => $("passage").close();
$("passage").onclick = ({ target }) => {
  if (target === $("passage")) $("passage").close(); // beside the sheet
};
