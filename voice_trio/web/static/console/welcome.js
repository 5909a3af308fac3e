/** The empty page: questions to click, the names of the documents, and for administrators a link to the dashboard. */

import { $, PAGE, icon, make } from "./dom.js";
import { t } from "./strings.js";
import { token } from "./token.js";

const QUESTIONS = 3;
const TITLES = 6;
const TITLE_CHARS = 60; // a longer title makes no question

let introduction = null;

/** Ask the gateway what it may say about the assistant; returns the status, 0 without an answer. */
export async function introduce(ask) {
  introduction = null;
  let status = 0;
  try {
    const answer = await fetch("/console/introduction", { headers: { Authorization: `Bearer ${token()}` }, cache: "no-store" });
    status = answer.status;
    if (answer.ok) introduction = await answer.json();
  } catch {
    // Unreachable, or a token that no header can carry: the page is complete without it.
  }
  showIntroduction(ask);
  return status;
}

export function showIntroduction(ask) {
  const { documents = null, questions = [], is_admin: isAdmin = false } = introduction ?? {};
  const titles = documents?.titles ?? [];
  showQuestions(questions.length ? questions : aboutTitles(titles), ask);
  const shown = titles.slice(0, TITLES);
  $("documents").hidden = !shown.length;
  const heading = documents?.count === null ? t("welcome.some") : t("welcome.documents", { n: documents?.count ?? 0 });
  $("documents-count").textContent = shown.length ? heading : "";
  const rest = (documents?.count ?? 0) - shown.length;
  const more = rest > 0 ? [make("li", "more", t("welcome.more", { n: rest }))] : [];
  $("documents-titles").replaceChildren(...shown.map(titleElement), ...more);
  const isEmpty = documents?.count === 0;
  $("no-documents").hidden = !isEmpty;
  $("import-command").textContent = introduction?.import_command ?? "";
  $("lead").textContent = t(isEmpty ? "welcome.text_empty" : "welcome.text");
  $("dashboard").hidden = !isAdmin;
}

function titleElement(title) {
  const item = make("li");
  item.append(icon(PAGE), title);
  return item;
}

const aboutTitles = (titles) =>
  titles.filter((title) => title && title.length <= TITLE_CHARS).slice(0, QUESTIONS).map((title) => t("welcome.about", { title }));

function showQuestions(questions, ask) {
  $("questions").hidden = !questions.length;
  const buttons = questions.slice(0, QUESTIONS).map((question) => {
    const button = make("button", "question", question);
    button.type = "button";
    button.onclick = () => ask(question);
    const item = make("li");
    item.append(button);
    return item;
  });
  $("questions-list").replaceChildren(...buttons);
}

/** The dashboard opens in another tab, which has no token of its own: it is in the address for this click only. */
export function handTokenOver({ currentTarget: link }) {
  const bare = link.getAttribute("href").split("#")[0];
  link.href = `${bare}#${new URLSearchParams({ token: token() ?? "" })}`;
  setTimeout(() => link.setAttribute("href", bare));
}
