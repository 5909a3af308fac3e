/** Tables that are sorted by the button in a column's head. Knows no figures. */

/**
 * Sort by the columns of `table` whose heads hold a button with `data-key`. `values[key](row)` is what a column is sorted
 * by; `first` is the key at the beginning, and `changed()` is called when another is chosen. Returns the sorting function.
 */
export function sortable(table, values, first, changed) {
  let { key, falling } = first;
  const buttons = [...table.querySelectorAll("thead [data-key]")];
  const mark = () => {
    for (const button of buttons) {
      const head = button.closest("th");
      if (button.dataset.key === key) head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      falling = button.dataset.key === key ? !falling : button.dataset.first === "falling";
      key = button.dataset.key;
      mark();
      changed();
    });
  }
  mark();
  return (rows) => {
    const value = values[key];
    const sorted = [...rows].sort((one, other) => compare(value(one), value(other)));
    return falling ? sorted.reverse() : sorted;
  };
}

function compare(one, other) {
  return typeof one === "string" ? one.localeCompare(other) : one - other;
}
