"use strict";
// Points of charts tell their values when pointed at; without this the page is whole.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("class", "ring");
  ring.setAttribute("r", "4.5");
  const known = new WeakMap();

  // The points of a path, with their values as they were written.
  function points(path) {
    if (!known.has(path)) {
      const at = path.dataset.at.split(" "), is = path.dataset.is.split(" ");
      const found = path.getAttribute("d").matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g);
      known.set(path, Array.from(found, (m, i) => ({ x: +m[1], y: +m[2], at: at[i], is: is[i] })));
    }
    return known.get(path);
  }

  // The nearest point of a path; of a line, mostly along x.
  function nearest(path, place, flat = path.classList.contains("line") ? 0.05 : 1) {
    let best = null, least = Infinity;
    for (const point of points(path)) {
      const far = (point.x - place.x) ** 2 + flat * (point.y - place.y) ** 2;
      if (far < least) [best, least] = [point, far];
    }
    return best && { path, point: best, far: least, isLine: flat < 1 };
  }

  function tell(event) {
    const panel = event.target.closest?.(".panel");
    if (!panel) return hide();
    const matrix = panel.getScreenCTM().inverse();
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    const found = Array.from(panel.querySelectorAll("[data-at]"), (path) => nearest(path, place))
      .filter((one) => one && (one.isLine || one.far < 150))
      .sort((a, b) => a.far - b.far);
    if (!found.length) return hide();
    const first = found[0];
    const others = found.slice(1).filter((one) => first.isLine && one.isLine)
      .map((one) => nearest(one.path, first.point, 1e-6))
      .filter((one) => Math.abs(one.point.x - first.point.x) < 0.6);
    const shown = [first, ...others];
    tip.replaceChildren(line(null, panel.dataset.x, first.point.at));
    for (const one of shown) {
      tip.append(line(one.path, one.path.dataset.name || panel.dataset.y, one.point.is));
    }
    ring.setAttribute("cx", first.point.x);
    ring.setAttribute("cy", first.point.y);
    panel.append(ring);
    tip.hidden = false;
    const left = event.clientX + 14, top = event.clientY + 14;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top + tip.offsetHeight > innerHeight ? top - tip.offsetHeight - 28 : top}px`;
  }

  function line(path, name, value) {
    const row = document.createElement("div"), number = document.createElement("b");
    if (path) {
      const sample = document.createElement("span");
      sample.textContent = path.classList.contains("line") ? "━ " : "● ";
      sample.style.color = getComputedStyle(path).color;
      row.append(sample);
    }
    number.textContent = value;
    row.append(`${name} `, number);
    return row;
  }

  function hide() {
    tip.hidden = true;
    ring.remove();
  }

  document.addEventListener("pointermove", tell);
  document.addEventListener("pointerdown", tell);
  document.addEventListener("scroll", hide, { passive: true });
})();
