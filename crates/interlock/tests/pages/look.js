// What a reader of this page would complain of.
(async () => {
  const wrong = [], root = document.documentElement;
  for (const folded of document.querySelectorAll("details")) folded.open = true;

  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll("main *, header *")].filter(it =>
      it.getBoundingClientRect().right > root.clientWidth && !it.parentElement.closest(".scroll, pre"));
    const names = wide.map(it => `${it.tagName}.${it.className} ${it.textContent.slice(0, 40)}`);
    wrong.push(`scrolls sideways, ${root.scrollWidth} px wide: ${names.join("; ")}`);
  }

  // Nothing of ours is an image; what somebody else said must not become one.
  if (document.images.length) wrong.push(`has images: ${document.images[0].outerHTML}`);

  // WCAG: text has at least 4.5 times the luminance of what is under it, or the other way round.
  const light = color => {
    const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const under = it => {
    for (; it; it = it.parentElement) {
      const color = getComputedStyle(it).backgroundColor;
      if (!/, 0\)$/.test(color)) return color;
    }
  };
  const dim = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const it = text.parentElement;
    if (!text.data.trim() || !it.checkVisibility() || it.closest("script, svg")) continue;
    const [one, two] = [light(getComputedStyle(it).color), light(under(it))];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < 4.5) dim.add(`${it.tagName}.${it.className} (${contrast.toFixed(1)})`);
  }
  if (dim.size) wrong.push(`hard to read: ${[...dim].join(", ")}`);

  const unnamed = [...document.querySelectorAll("input, select, button, a")].filter(it =>
    !(it.labels?.[0] ?? it).textContent.trim());
  if (unnamed.length) wrong.push(`without a name: ${unnamed.map(it => it.outerHTML).join(", ")}`);
  return wrong;
})()
