/** Small charts as SVG, built from elements, never from HTML text. Knows numbers, not their meaning. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 60;

export function element(name, attributes = {}, ...inside) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

function canvas(title, ...inside) {
  const words = element("title");
  words.textContent = title;
  const base = element("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT });
  return element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, words, base, ...inside);
}

/** One bar for each value; the last one, which is still growing, stands out. */
export function bars(title, values, kind = "") {
  const most = Math.max(...values, 1e-9);
  const step = WIDTH / values.length;
  const drawn = values.map((value, index) => {
    if (!value) return "";
    const height = Math.max(2, (value / most) * HEIGHT);
    const now = index === values.length - 1 ? "now" : "";
    const place = { x: index * step + step * 0.15, y: HEIGHT - height, width: step * 0.7, height, rx: 1 };
    return element("rect", { class: `bar ${kind} ${now}`, ...place });
  });
  return canvas(title, ...drawn.filter(Boolean));
}

/** Lines through the measured values, with gaps for minutes without one. The area below the first line is filled. */
export function lines(title, ...series) {
  const most = Math.max(...series.flat().filter((value) => value !== null), 1e-9) * 1.08;
  const drawn = series.flatMap((values, number) => {
    const place = (value, index) => `${(index / (values.length - 1)) * WIDTH} ${HEIGHT - (value / most) * HEIGHT}`;
    return runs(values).flatMap(([from, run]) => {
      const points = run.map((value, index) => place(value, from + index));
      if (points.length === 1) points.push(`${(from / (values.length - 1)) * WIDTH + 2} ${points[0].split(" ")[1]}`);
      const line = element("path", { class: `line ${number ? "second" : ""}`, d: `M${points.join("L")}` });
      const [first, last] = [points[0].split(" ")[0], points.at(-1).split(" ")[0]];
      const area = element("path", { class: "area", d: `M${first} ${HEIGHT}L${points.join("L")}L${last} ${HEIGHT}Z` });
      return number ? [line] : [area, line];
    });
  });
  return canvas(title, ...drawn);
}

/** A bar from 0 to the median, on to P95, and a mark at P99, on a scale that ends at `most`. */
export function range(title, { p50, p95, p99 }, most) {
  const at = (value) => (Math.min(value, most) / most) * 100;
  const words = element("title");
  words.textContent = title;
  const part = (kind, from, to) =>
    element("rect", { class: kind, x: `${at(from)}%`, width: `${Math.max(0.4, at(to) - at(from))}%`, y: "30%", height: "40%", rx: 2 });
  const mark = element("rect", { class: "range-99", x: `${Math.max(0, at(p99) - 0.3)}%`, width: 2, y: "10%", height: "80%" });
  return element("svg", { role: "img" }, words, part("range-95", p50, p95), part("range-50", 0, p50), mark);
}

function runs(values) {
  const found = [];
  let open = null;
  values.forEach((value, index) => {
    if (value === null) open = null;
    else if (open) open[1].push(value);
    else found.push((open = [index, [value]]));
  });
  return found;
}
