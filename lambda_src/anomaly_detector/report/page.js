"use strict";
(() => {
  const root = document.documentElement;
  const by = (id) => document.getElementById(id);
  const many = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
  const made = (name, attributes, text) => {
    const one = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    if (text !== undefined) one.textContent = text;
    return one;
  };

  /* One event at a time, by the link that names it. */

  const title = document.title;
  const single = document.body.classList.contains("single");

  function route(moved) {
    const found = /^#event=(.+)$/.exec(location.hash);
    let key = found && found[1];
    try {
      key = key && decodeURIComponent(key);
    } catch {
      // Not a link of this page: the text is as it is.
    }
    const detail = key && by(`event=${key}`);
    for (const one of document.querySelectorAll(".detail.shown")) one.classList.remove("shown");
    root.classList.toggle("one", Boolean(key) && !single);
    by("unknown").hidden = !key || Boolean(detail);
    document.title = title;
    if (detail) {
      detail.classList.add("shown");
      const heading = detail.querySelector("h3");
      document.title = `${heading.textContent} – ${title}`;
      heading.focus({ preventScroll: true });
      detail.scrollIntoView();
    } else if (moved && !key) {
      const place = location.hash && by(location.hash.slice(1));
      if (place) place.scrollIntoView();
    }
  }

  addEventListener("hashchange", () => route(true));

  for (const mark of document.querySelectorAll("[data-event]")) {
    mark.addEventListener("click", () => {
      location.hash = `event=${mark.dataset.event}`;
    });
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const detail = button.closest(".detail");
      const link = `${location.href.split("#")[0]}#${detail.id}`;
      const text = button.dataset.copy === "sql" ? detail.querySelector(".sql").textContent : link;
      const before = button.textContent;
      let done = true;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const area = made("textarea", {}, text);
        document.body.append(area);
        area.select();
        done = document.execCommand("copy");
        area.remove();
        button.focus();
      }
      button.textContent = done ? "Copied" : "Could not copy: select it and copy it";
      setTimeout(() => {
        button.textContent = before;
      }, 2000);
    });
  }

  /* The events: threshold, measure, value and time. */

  const items = [...document.querySelectorAll(".list > li")];
  const threshold = by("threshold");

  function filter() {
    const told = by("told");
    const least = Number(threshold.value);
    const [measure, value, time] = ["measure", "value", "time"].map((id) => by(id).value);
    const from = time ? Number(told.dataset.until) - Number(time) : -Infinity;
    let shown = 0;
    let above = 0;
    for (const item of items) {
      const strong = Number(item.dataset.severity) >= least;
      above += strong;
      const fits =
        strong &&
        (!measure || item.dataset.measure === measure) &&
        (!value || item.dataset.values.split(" ").includes(value)) &&
        Number(item.dataset.end) > from;
      item.hidden = !fits;
      shown += fits;
    }
    by("threshold-shown").textContent = least;
    const week = Math.round((10 * above) / Number(told.dataset.weeks)) / 10;
    const rate = `${least}: ${many(week, "event")} a week.`;
    told.textContent = shown
      ? `${rate} ${many(shown, "event")} of ${items.length.toLocaleString("en")} shown.`
      : `${rate} No event passes these filters.`;
    const chips = [];
    for (const id of ["measure", "value", "time"]) {
      const select = by(id);
      if (!select.value) continue;
      const option = select.selectedOptions[0];
      const group = option.parentElement;
      const name = group.label ? `${group.label} ${option.textContent}` : option.textContent;
      const chip = made("button", { type: "button", "aria-label": `Remove the filter ${name}` }, `${name} ×`);
      chip.addEventListener("click", () => {
        select.value = "";
        filter();
        select.focus();
      });
      const place = made("li", {});
      place.append(chip);
      chips.push(place);
    }
    by("chips").replaceChildren(...chips);
  }

  if (items.length) {
    for (const id of ["threshold", "measure", "value", "time"]) by(id).addEventListener("input", filter);
    filter();
  }

  /* The series. */

  const data = JSON.parse(by("data").textContent);
  const zoned = new Intl.DateTimeFormat("en-US", {
    timeZone: data.zone, weekday: "short", day: "numeric", month: "short", year: "numeric",
    hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  });
  /* As the page says times elsewhere. */
  const spoken = (seconds) => {
    const parts = Object.fromEntries(zoned.formatToParts(1000 * seconds).map(({ type, value }) => [type, value]));
    const date = `${parts.weekday} ${parts.day} ${parts.month} ${parts.year}`;
    return data.days ? date : `${date}, ${parts.hour}:${parts.minute}`;
  };
  const kinds = ["one", "two", "three", "four", "five"];
  const size = data.edges.length - 1;
  const svg = (name, attributes) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    return one;
  };

  function values(series) {
    if (series.lines) return series.lines;
    const bytes = Uint8Array.from(atob(series.v), (sign) => sign.charCodeAt(0));
    const steps = new DataView(bytes.buffer);
    const lines = [0, 1, 2, 3].map((line) =>
      Float64Array.from({ length: size }, (_, at) => {
        const step = steps.getUint16(2 * (line * size + at), true);
        return step === 65535 ? NaN : series.l + ((series.h - series.l) * step) / 65534;
      }),
    );
    return (series.lines = { actual: lines[0], expected: lines[1], lower: lines[2], upper: lines[3] });
  }

  function label(series) {
    const held = series.s
      .map((value, axis) => [data.dimensions[axis], value])
      .filter(([, value]) => value >= 0)
      .map(([dimension, value]) => `${dimension.name} ${dimension.values[value] || "(empty)"}`);
    return held.join(", ") || "in total";
  }

  /* The same figures and ticks as in the charts that the page came with. */

  function figure(value, unit, digits = 4) {
    if (!Number.isFinite(value)) return "nothing";
    if (unit === "share") return `${digited(100 * value, digits - 1)} %`;
    return digited(unit === "count" && digits === 4 && Math.abs(value) >= 10 ? Math.round(value) : value, digits);
  }

  function digited(value, digits) {
    const magnitude = Math.abs(value);
    if (magnitude >= 1e15 || (magnitude > 0 && magnitude < 1e-6)) {
      const told = value.toPrecision(digits);
      return told.replace(/\.?0*(e|$)/, "$1").replace(/e([+-])(\d)$/, "e$10$2");
    }
    const before = magnitude ? Math.floor(Math.log10(magnitude)) + 1 : 1;
    const text = value.toLocaleString("en", { maximumFractionDigits: Math.min(20, Math.max(0, digits - before)) });
    return text === "-0" ? "0" : text;
  }

  function labelled(marks, unit) {
    const stepped = (value, digits) => {
      if (unit !== "share") {
        const magnitude = Math.abs(value);
        for (const [whole, prefix] of [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
          if (whole <= magnitude && magnitude < 1000 * whole) return `${figure(value / whole, null, digits)} ${prefix}`;
        }
      }
      return figure(value, unit, digits);
    };
    const power = (value) => Math.floor(Math.log10(value) + 1e-9);
    const largest = Math.max(...marks.map(Math.abs));
    const digits = Math.max(4, 2 + Math.floor(Math.log10(largest)) - power(marks[1] - marks[0]));
    return marks.map((mark) => stepped(mark, digits));
  }

  function ticks(low, high) {
    const power = 10 ** Math.floor(Math.log10((high - low) / 6));
    let first, last, step;
    for (const factor of [1, 2, 5, 10, 20, 50]) {
      step = factor * power;
      first = Math.floor(low / step + 1e-9);
      last = Math.ceil(high / step - 1e-9);
      if (last - first < 6) break;
    }
    return Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
  }

  function range(lines, zero) {
    let low = Infinity;
    let high = -Infinity;
    const seen = (array) => {
      for (const value of array) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    };
    for (const line of lines) {
      seen(line.actual);
      if (lines.length === 1) seen(line.expected);
    }
    if (low > high) low = high = 0;
    if (lines.length === 1 && high > low) {
      const room = 0.6 * (high - low);
      const finite = (array) => array.filter(Number.isFinite);
      for (const name of ["lower", "upper"]) {
        const band = finite(lines[0][name]);
        if (!band.length) continue;
        low = Math.min(low, Math.max(band.reduce((a, b) => Math.min(a, b)), low - room));
        high = Math.max(high, Math.min(band.reduce((a, b) => Math.max(a, b)), high + room));
      }
    }
    if (zero) {
      low = Math.min(low, 0);
      high = Math.max(high, 0);
    }
    if (high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high))) {
      const half = Math.abs(high) / 2 || 1;
      [low, high] = zero && high === 0 ? [0, 2 * half] : [low - half, high + half];
    }
    return [low, high];
  }

  const plot = by("plot");
  const chart = plot.querySelector("svg");
  const inner = chart.querySelector(".plot");
  const [, , width, height] = inner.getAttribute("viewBox").split(" ").map(Number);
  const top = Number(inner.getAttribute("y"));
  const span = data.edges[size] - data.edges[0];
  const across = data.edges.slice(0, -1).map((edge, at) =>
    Math.round((((edge + data.edges[at + 1]) / 2 - data.edges[0]) / span) * width),
  );

  /* The smallest and the largest value of each column, where there are more values than columns. */
  function kept(line) {
    if (size <= width) return across.map((_, at) => at);
    const found = [];
    for (let at = 0; at < size; ) {
      const column = Math.floor(across[at] / 2);
      let low = -1;
      let high = -1;
      const first = at;
      for (; at < size && Math.floor(across[at] / 2) === column; at += 1) {
        if (!Number.isFinite(line[at])) continue;
        if (low < 0 || line[at] < line[low]) low = at;
        if (high < 0 || line[at] > line[high]) high = at;
      }
      if (low < 0) found.push(first);
      else found.push(...(low === high ? [low] : low < high ? [low, high] : [high, low]));
    }
    return found;
  }

  function path(line, down) {
    let text = "";
    let pen = false;
    for (const at of kept(line)) {
      if (Number.isFinite(line[at])) {
        const point = `${across[at]} ${down(line[at])}`;
        text += pen ? `L${point}` : `M${point}h0`;
        pen = true;
      } else {
        pen = false;
      }
    }
    return text;
  }

  function area(lower, upper, down) {
    let text = "";
    for (let at = 0; at < size; at += 1) {
      let end = at;
      while (end < size && Number.isFinite(lower[end]) && Number.isFinite(upper[end])) end += 1;
      if (end - at > 1) {
        const there = [];
        const back = [];
        for (let one = at; one < end; one += 1) {
          there.push(`${across[one]} ${down(upper[one])}`);
          back.unshift(`${across[one]} ${down(lower[one])}`);
        }
        text += `M${there.join("L")}L${back.join("L")}Z`;
      }
      at = end;
    }
    return text;
  }

  /* Values that no line leads to, and few values, one by one. */
  function points(line, down) {
    if (size > width) return "";
    const alone = (at) => size <= 40 || !(Number.isFinite(line[at - 1]) || Number.isFinite(line[at + 1]));
    return across
      .map((x, at) => (Number.isFinite(line[at]) && alone(at) ? `M${x} ${down(line[at])}h0` : ""))
      .join("");
  }

  let chosen = [];
  let reading = size - 1;

  function draw() {
    for (const old of chart.querySelectorAll(".drawn")) old.remove();
    const add = (parent, name, kind, attributes, text) => {
      const one = svg(name, { class: `${kind} drawn`, ...attributes });
      if (text !== undefined) one.textContent = text;
      parent.append(one);
      return one;
    };
    const dot = (kind, line) => {
      const d = points(line.actual, down);
      if (d) add(inner, "path", kind, { d });
    };
    const lines = chosen.map(values);
    const measure = chosen.length ? data.measures[chosen[0].m] : data.measures[0];
    const [low, high] = range(lines, measure.zero);
    const marks = ticks(low, high);
    const [floor, ceiling] = [marks[0], marks[marks.length - 1]];
    const down = (value) =>
      Math.round(height * (1 - (Math.min(Math.max(value, floor), ceiling) - floor) / (ceiling - floor)));
    const told = labelled(marks, measure.unit);
    for (const [at, mark] of marks.entries()) {
      const y = down(mark);
      add(inner, "line", mark === 0 ? "base" : "grid", { x2: width, y1: y, y2: y });
      const attributes = { x: -7, y: top + y / 4 + 4, "text-anchor": "end" };
      add(chart, "text", "tick", attributes, told[at]);
    }
    if (floor > 0 || ceiling < 0) {
      add(chart, "text", "tick", { x: "100%", y: 10, "text-anchor": "end" }, "the axis leaves out 0");
    }
    if (lines.length === 1) {
      const [line] = lines;
      add(inner, "path", "band", { d: area(line.lower, line.upper, down) });
      const dense = size > width ? " dense" : "";
      add(inner, "path", `expected${dense}`, { d: path(line.expected, down) });
      add(inner, "path", `actual${dense}`, { d: path(line.actual, down) });
      dot("points", line);
      const dots = chosen[0].a.map((at) => {
        const value = Number.isFinite(line.actual[at]) ? line.actual[at] : line.expected[at];
        return Number.isFinite(value) ? `M${across[at]} ${down(value)}h0` : "";
      });
      add(inner, "path", "marks", { d: dots.join("") });
    } else {
      lines.forEach((line, at) => {
        add(inner, "path", kinds[at], { d: path(line.actual, down) });
        dot(`points ${kinds[at]}`, line);
      });
    }
    const isMissing = (at) =>
      at < size && lines.some((line) => !Number.isFinite(line.actual[at]) && Number.isFinite(line.expected[at]));
    let missing = "";
    for (let at = 0; at < size; at += 1) {
      if (!isMissing(at)) continue;
      const from = at;
      while (isMissing(at + 1)) at += 1;
      missing += `M${Math.round((from * width) / size)} ${height - 12}H${Math.round(((at + 1) * width) / size)}`;
    }
    add(inner, "path", "missing", { d: missing });
    chart.querySelector("title").textContent = chosen.length
      ? `${measure.name}: ${chosen.map(label).join("; ")}`
      : "No series is chosen";
    read();
  }

  function read() {
    for (const old of inner.querySelectorAll(".cursor")) old.remove();
    plot.setAttribute("aria-valuemax", size - 1);
    plot.setAttribute("aria-valuenow", reading);
    if (!chosen.length) {
      by("reading").textContent = "";
      return;
    }
    const unit = data.measures[chosen[0].m].unit;
    const when = spoken(data.edges[reading]);
    const told = chosen.map((series) => {
      const line = values(series);
      const came = figure(line.actual[reading], unit);
      const usual = line.expected[reading];
      const name = chosen.length > 1 ? `${label(series)}: ` : "";
      if (!Number.isFinite(usual)) return `${name}${came}`;
      const bounds = [line.lower[reading], line.upper[reading]];
      const band = bounds.every(Number.isFinite) ? ` (${bounds.map((value) => figure(value, unit)).join(" to ")})` : "";
      return `${name}${came}, expected ${figure(usual, unit)}${band}`;
    });
    const text = `${when}: ${told.join("; ")}`;
    by("reading").textContent = text;
    plot.setAttribute("aria-valuetext", text);
    inner.append(svg("path", { class: "cursor", d: `M${across[reading]} 0V${height}` }));
  }

  plot.addEventListener("pointermove", (event) => {
    const box = inner.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    let near = 0;
    for (let at = 1; at < size; at += 1) if (Math.abs(across[at] - x) < Math.abs(across[near] - x)) near = at;
    reading = near;
    read();
  });
  plot.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 24, PageDown: -24, Home: -size, End: size };
    if (!(event.key in moves)) return;
    event.preventDefault();
    reading = Math.min(size - 1, Math.max(0, reading + moves[event.key]));
    read();
  });

  const choice = by("series-measure");
  const typed = by("series-slice");

  function offered() {
    return data.series.filter((series) => String(series.m) === choice.value);
  }

  function offer() {
    by("slices").replaceChildren(...offered().map((series) => made("option", { value: label(series) })));
  }

  function show(told = "") {
    by("chooser-told").textContent = told;
    by("chosen").replaceChildren(
      ...chosen.map((series, at) => {
        const name = label(series);
        const chip = made("button", { type: "button", "aria-label": `Remove ${name}` });
        const swatch = svg("svg", { class: "chart", width: 26, height: 12, "aria-hidden": "true" });
        swatch.append(svg("path", { class: kinds[at], d: "M1 6H25" }));
        chip.append(swatch, ` ${name} ×`);
        chip.addEventListener("click", () => {
          chosen = chosen.filter((one) => one !== series);
          show();
          typed.focus();
        });
        const place = made("li", {});
        place.append(chip);
        return place;
      }),
    );
    draw();
  }

  by("chooser").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = typed.value.trim().toLowerCase();
    const all = offered();
    const found =
      all.find((series) => label(series).toLowerCase() === wanted) ||
      all.find((series) => label(series).toLowerCase().includes(wanted));
    if (!found) return show(`This page has no series "${typed.value}" of this measure.`);
    if (chosen.includes(found)) return show("This series is chosen already.");
    if (chosen.length === kinds.length) return show("Five series at a time: remove one first.");
    chosen.push(found);
    typed.value = "";
    return show();
  });
  choice.addEventListener("input", () => {
    offer();
    chosen = offered().slice(0, 1);
    show();
  });

  if (data.series.length) {
    data.measures.forEach((measure, at) => {
      if (data.series.some((series) => series.m === at)) choice.append(made("option", { value: at }, measure.name));
    });
    const whole = data.series.filter((series) => series.s.every((value) => value < 0));
    const first = whole.find((series) => series.m === 0) || whole[0] || data.series[0];
    choice.value = first.m;
    offer();
    chosen = [first];
    show();
  }

  route(false);
})();
