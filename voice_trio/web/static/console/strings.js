/** The language of the page, and its texts. Of the DOM it knows only `translate`. */

import en from "./strings-en.js";
import fr from "./strings-fr.js";

export const TABLES = { en, fr };
const CHOSEN = "voice-trio-language";
let language = preferred(stored(), ...(globalThis.navigator?.languages ?? []));

/** The first of `wanted` (BCP 47) that there is a table for, as the table's name; else `en`. */
export function preferred(...wanted) {
  return wanted.map((tag) => tag?.toLowerCase().split("-")[0]).find((tag) => Object.hasOwn(TABLES, tag)) ?? "en";
}

export const currentLanguage = () => language;

/** Use `name` from now on, and on the next visit. */
export function choose(name) {
  language = preferred(name);
  try {
    localStorage.setItem(CHOSEN, language);
  } catch {
    // Storage may be forbidden: then the choice holds until the page is left.
  }
}

/** The text of `key`; `values` fill its `{names}`, and `n` chooses between singular and plural. */
export function t(key, values = {}) {
  let text = TABLES[language][key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  if (!Array.isArray(text) && typeof text === "object") text = text[new Intl.PluralRules(language).select(values.n)] ?? text.other;
  const fill = (part) => part.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
  return Array.isArray(text) ? text.map(fill) : fill(text);
}

export const hasText = (key) => Object.hasOwn(TABLES[language], key);

/** A number as the language writes it. */
export const number = (value, options = {}) => value.toLocaleString(language, options);

/** "0.62 s" */
export function seconds(ms, digits = 2) {
  return `${number(ms / 1000, { minimumFractionDigits: digits, maximumFractionDigits: digits })}\u00a0s`;
}

/** Fill the elements of `root`: `data-t` names the key of their text, `data-t-ATTRIBUTE` that of an attribute. */
export function translate(root) {
  root.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const attribute of ["aria-label", "title", "placeholder"]) {
    for (const element of root.querySelectorAll(`[data-t-${attribute}]`)) {
      element.setAttribute(attribute, t(element.getAttribute(`data-t-${attribute}`)));
    }
  }
}

function stored() {
  try {
    return globalThis.localStorage?.getItem(CHOSEN);
  } catch {
    return null;
  }
}
