/** The choice of microphone, loudspeaker and language. */

import { $ } from "./dom.js";
import { TABLES, currentLanguage, t } from "./strings.js";

export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  fill($("input-device"), devices, "audioinput");
  fill($("output-device"), devices, "audiooutput");
  const canChoose = "setSinkId" in AudioContext.prototype && devices.some(({ kind }) => kind === "audiooutput");
  $("output-choice").hidden = !canChoose;
  $("no-names").hidden = devices.some(({ label }) => label);
}

function fill(select, devices, kind) {
  const chosen = select.value;
  const options = devices.filter((device) => device.kind === kind && device.deviceId !== "default");
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
