/** How the dashboard writes numbers, money and times, and makes elements. Knows nothing of where figures come from. */

export const $ = (id) => document.getElementById(id);

/** An element with properties and children, never made of HTML text. */
export function made(name, properties = {}, ...inside) {
  const { dataset, ...others } = properties;
  const node = Object.assign(document.createElement(name), others);
  Object.assign(node.dataset, dataset);
  node.append(...inside);
  return node;
}

/** `snake_case` as words. */
export const words = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
export const number = (value) => value.toLocaleString("en");
export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const percent = (share) => `${(share * 100).toLocaleString("en", { maximumFractionDigits: 1 })} %`;

/** `3 sessions`, `1 session`. */
export const counted = (count, name) => `${number(count)} ${name}${count === 1 ? "" : "s"}`;

export function milliseconds(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

export function dollars(value) {
  const digits = value === 0 || value >= 1 ? 2 : value >= 0.01 ? 3 : 5;
  return `$${value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** Dollars for a column of a table: all with as many digits; the hint of the cell has the exact amount. */
export const cents = (value) => (value > 0 && value < 0.001 ? "< $0.001" : `$${value.toFixed(3)}`);

/** A length of time in its two largest units at most. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return whole < 48 * 3600 ? `${(whole / 3600).toFixed(1)} h` : `${(whole / 86_400).toFixed(1)} days`;
}

/** Unix seconds as the time of day here. */
export const timeOfDay = (at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** The hash of a user, short enough for a row, with the whole one as a hint; other names in brackets stay as they are. */
export function userName(user) {
  const text = user.startsWith("(") ? user.slice(1, -1) : user.slice(0, 12);
  return made("span", { className: user.startsWith("(") ? "quiet" : "hash", textContent: text, title: user });
}

/** Fill a meter to `share` (0 to 1); it warns from `warmFrom` on. */
export function meter(place, share, warmFrom = 2) {
  const bar = made("i");
  bar.style.width = `${Math.min(100, share * 100)}%`;
  place.replaceChildren(bar);
  place.classList.toggle("warm", share >= warmFrom);
}

/** The only row of a list or table body without rows. */
export const emptyItem = (text) => made("li", { className: "quiet", textContent: text });
