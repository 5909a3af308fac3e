/** The choice of microphone, loudspeaker and language. */

import { $ } from "./dom.js";
import { TABLES, currentLanguage, t } from "./strings.js";

/** `inputs` and `outputs`: as in the `devices` event of VoiceClient. */
export function showDevices({ inputs, outputs }) {
  fill($("input-device"), inputs);
  fill($("output-device"), outputs);
  $("output-choice").hidden = !outputs.length;
  $("no-names").hidden = [...inputs, ...outputs].some(({ label }) => label);
}

function fill(select, options) {
  const chosen = select.value;
  const named = ({ label, deviceId }, i) => new Option(label || t("settings.device", { n: i + 1 }), deviceId);
  select.replaceChildren(new Option(t("settings.default"), ""), ...options.map(named));
  select.value = options.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
}

export function listLanguages() {
  const options = Object.entries(TABLES).map(([name, texts]) => {
    const option = new Option(texts.language, name);
    option.lang = name;
    return option;
  });
  $("language").replaceChildren(...options);
  $("language").value = currentLanguage();
}
