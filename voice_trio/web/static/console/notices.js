/** The one notice above the dock: what is wrong or new, and what can be done about it. */

import { $ } from "./dom.js";
import { t } from "./strings.js";

const NEWS_MS = 6000;
let shown = null; // what made the notice, so that it can be made again in another language
let about = ""; // its subject, for notices that disappear by themselves

/**
 * Show `make()`: {title, text, action, onAction, isMild, wantsToken, onClose}. `subject` is what `dismiss` names later.
 */
export function notice(make, subject = "") {
  shown = make;
  about = subject;
  const { title, text, action = "", onAction = null, isMild = false, wantsToken = false, onClose = null } = make();
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  $("notice-action").hidden = !action;
  $("notice-action").textContent = action;
  $("notice-action").onclick = () => {
    hideNotice();
    onAction?.();
  };
  $("notice-close").onclick = () => {
    hideNotice();
    onClose?.();
  };
  $("token-form").hidden = !wantsToken;
  $("notice").classList.toggle("mild", isMild);
  $("notice").hidden = false;
}

/** A notice that disappears by itself; it replaces no other notice. */
export function tell(make) {
  if (!$("notice").hidden) return;
  notice(() => ({ ...make(), isMild: true }), "news");
  setTimeout(() => dismiss("news"), NEWS_MS);
}

/** Hide the notice if it is about `subject`. */
export function dismiss(subject) {
  if (about === subject) hideNotice();
}

export function hideNotice() {
  shown = null;
  about = "";
  $("notice").hidden = true;
}

/** The same notice in the language of now. */
export function translateNotice() {
  if (shown) notice(shown, about);
}

export function askForToken() {
  notice(() => ({ title: t("token.title"), text: t("token.text"), wantsToken: true }), "token");
}
