// Pointing at a method in a plot highlights it.
const light = (picture, method) => {
  picture.classList.toggle("focus", method !== null);
  for (const one of picture.querySelectorAll("[data-method]")) one.classList.toggle("lit", one.dataset.method === method);
};

const pointedAt = (target) => target.closest?.("svg.plot [data-method]");

for (const picture of document.querySelectorAll(".pictures svg.plot")) {
  if (new Set([...picture.querySelectorAll("[data-method]")].map((one) => one.dataset.method)).size < 2) continue;
  picture.addEventListener("pointerover", (event) => light(picture, pointedAt(event.target)?.dataset.method ?? null));
  picture.addEventListener("pointerleave", () => light(picture, null));
}
