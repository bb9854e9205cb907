// The viewer of a report. It reads what the page carries (an index, volumes in base64, the library), draws with NiiVue,
// and leaves the page alone where the browser cannot. All ids begin with the report's own, so that pages can be joined.
(() => {
  "use strict";
  const { report } = document.currentScript.dataset;
  const { nonce } = document.currentScript;
  const el = (name) => document.getElementById(`${report}-${name}`);
  const section = el("viewer");
  const data = JSON.parse(el("index").textContent);
  // What masks hold, in a word.
  const organ = el("canvas").dataset.organ;
  // Volumes that came with files beside the page, by report and number.
  window.voxplainVolumes ??= {};
  window.voxplainVolumes[report] ??= {};
  const state = { scene: -1, method: "", most: 1, step: 1, units: "", share: 0.1, atlas: -1, region: -1, voxel: [0, 0, 0] };
  let nv, map, brain, labels, drawn, turn = 0;

  const minus = (text) => text.replaceAll("-", "\u2212");
  const number = (x, digits = 3) => {
    if (x === 0) return "0";
    const size = Math.abs(x);
    return minus(size >= 1e-3 && size < 1e5 ? String(Number(x.toPrecision(digits))) : x.toExponential(digits - 1));
  };
  const option = (select, value, text) => {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = text;
    select.append(made);
    return made;
  };

  function fallBack(why) {
    section.classList.add("failed");
    el("failed").textContent = `${why} The figures below show the same maps.`;
    el("failed").hidden = false;
  }

  function inflate(base64) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
  }

  // The NIfTI of a compact volume, as voxplain_volume::expand gives it. A map's mask is where its brain is not 0.
  async function expand(base64, brain) {
    const packed = new Uint8Array(await (await inflate(base64)).arrayBuffer());
    const head = new DataView(packed.buffer, 0, 352);
    const [ni, nj, nk] = [42, 44, 46].map((at) => head.getInt16(at, true));
    const [plane, size] = [ni * nj, ni * nj * nk];
    const [differences, own] = [packed[352] === 1, packed[353] === 1];
    const mask = own ? packed.subarray(354) : null;
    const inside = Uint8Array.from({ length: size }, (_, n) => (own ? (mask[n >> 3] >> (n & 7)) & 1 : Number(brain[n] !== 0)));
    const low = own ? 354 + Math.ceil(size / 8) : 354;
    const high = low + inside.reduce((a, b) => a + b, 0);
    const values = new Int16Array(size);
    const rounded = (a, b) => Math.floor((2 * a + b) / (2 * b));
    for (let n = 0, at = 0; n < size; n++) {
      if (!inside[n]) continue;
      const folded = packed[low + at] | (packed[high + at] << 8);
      at += 1;
      let expected = 0;
      if (differences) {
        const [x, y, z] = [n % ni > 0, Math.floor(n / ni) % nj > 0, n >= plane];
        const [a, b, c] = [x && inside[n - 1], y && inside[n - ni], z && inside[n - plane]];
        const [va, vb, vc] = [a ? values[n - 1] : 0, b ? values[n - ni] : 0, c ? values[n - plane] : 0];
        if (a && b && c && inside[n - 1 - ni] && inside[n - 1 - plane] && inside[n - ni - plane]) {
          const corners = values[n - 1 - ni] + values[n - 1 - plane] + values[n - ni - plane];
          expected = rounded(2 * (va + vb + vc) - corners, 3);
          expected = Math.min(Math.max(expected, Math.min(va, vb, vc)), Math.max(va, vb, vc));
        } else if (a || b || c) expected = rounded(va + vb + vc, a + b + c);
      }
      values[n] = expected + ((folded >> 1) ^ -(folded & 1));
    }
    const stored = head.getInt16(70, true) === 2 ? Uint8Array.from(values) : values;
    return new Blob([packed.subarray(0, 352), stored]);
  }

  function run(script) {
    return new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.nonce = nonce;
      if (script.source) {
        tag.src = script.source.split("/").map(encodeURIComponent).join("/");
        tag.onload = resolve;
        tag.onerror = reject;
        document.head.append(tag);
      } else {
        tag.textContent = script.text;
        document.head.append(tag);
        resolve();
      }
    });
  }

  const fetched = (scene) => run({ source: scene.file }).catch(() => {
    throw new Error(data.served
      ? `The server does not give the volumes of ${scene.title}: look what it says where it runs.`
      : `The volumes of ${scene.title} are in ${scene.file}, which is not beside this page.`);
  });

  // From a server a scene comes whole with its volumes, and with what its methods and regions are called.
  async function complete(n) {
    const scene = data.scenes[n];
    if (scene.maps) return scene;
    await fetched(scene);
    const came = window.voxplainScenes?.[report]?.[n];
    if (!came) throw new Error("The run has changed since this page was made: load it again.");
    const { methods, atlases, ...sight } = came;
    Object.assign(data.methods, methods);
    data.atlases = atlases;
    return Object.assign(scene, sight);
  }

  // The bytes of a volume: in the page, or in the file of its scene.
  async function volume(n, scene) {
    const inside = el(`volume-${n}`);
    if (inside) return inside.textContent;
    const there = window.voxplainVolumes[report];
    if (!(n in there)) await fetched(scene);
    if (!(n in there)) throw new Error(`${scene.file} belongs to another report: make the report again.`);
    return there[n];
  }

  const image = (blob, name) => niivue.NVImage.loadFromFile({ file: new File([blob], name) });
  const packed = async (n, scene, name, brain) => image(await expand(await volume(n, scene), brain), name);
  const plain = async (n, scene, name) => image(await (await inflate(await volume(n, scene))).blob(), name);

  // Colours: stops of red, green, blue from 0 outwards, for values below and above 0.
  function colourMaps() {
    for (const [key, arms] of Object.entries(data.colours)) {
      for (const sign of ["below", "above"]) {
        const stops = arms[sign];
        const at = stops.map((_, n) => 1 + Math.round((254 * n) / (stops.length - 1)));
        // Entry 0 is the value 0, which is not painted.
        const channel = (c) => [stops[0][c], ...stops.map((stop) => stop[c])];
        nv.addColormap(`${key}-${sign}`, {
          R: channel(0), G: channel(1), B: channel(2), A: [0, ...stops.map(() => 255)], I: [0, ...at],
        });
      }
    }
    // Outside the brain nothing; inside from dark to light grey.
    nv.addColormap("voxplain-brain", { R: [0, 35, 225], G: [0, 35, 225], B: [0, 35, 225], A: [0, 255, 255], I: [0, 1, 255] });
  }

  // How the map is drawn: all in steps of its storage, since the library cannot tell apart numbers below 1e-5.
  function paint() {
    if (!map) return;
    const threshold = Number(el("threshold").value) * state.most / 100;
    const [low, most] = [Math.max(threshold / state.step, 0.5), Math.max(state.most / state.step, 1)];
    const sign = el("sign").value;
    const colours = el("colours").value;
    const never = 1e6 * most;
    map.colormap = `${colours}-above`;
    map.colormapNegative = sign === "above" ? "" : `${colours}-below`;
    map.colormapType = 2;
    [map.cal_min, map.cal_max] = sign === "below" ? [never, 2 * never] : [low, most];
    [map.cal_minNeg, map.cal_maxNeg] = sign === "above" ? [NaN, NaN] : [-most, -low];
    map.opacity = Number(el("opacity").value) / 100;
    nv.updateGLVolume();
    nv.drawScene();
    el("threshold-words").textContent = threshold > 0 ? `|value| from ${number(threshold)}` : "all but 0";
    el("threshold").setAttribute("aria-valuetext", el("threshold-words").textContent);
    el("opacity-words").textContent = `${el("opacity").value} %`;
    bar(threshold, sign, data.colours[colours]);
  }

  // The colour bar, as text and as a gradient.
  function bar(threshold, sign, arms) {
    const rgb = (c) => `rgb(${c.join(",")})`;
    const arm = (stops, way) => {
      const from = Math.min(1, threshold / state.most) * 50;
      const at = (n) => (n * 50) / (stops.length - 1);
      const kept = stops.map((c, n) => ({ c, at: at(n) })).filter((s) => s.at >= from);
      const parts = [{ c: stops[Math.max(stops.length - 1 - kept.length, 0)], at: from }, ...kept];
      return parts.map((s) => `${rgb(s.c)} ${50 + way * s.at}%`);
    };
    const below = sign === "above" ? [] : arm(arms.below, -1).reverse();
    const above = sign === "below" ? [] : arm(arms.above, 1);
    const grey = "rgb(130,130,130)";
    const cut = Math.min(1, threshold / state.most) * 50;
    const [l, r] = [sign === "above" ? 0 : 50 - cut, sign === "below" ? 100 : 50 + cut];
    el("bar").style.background =
      `linear-gradient(to right, ${[...below, `${grey} ${l}%`, `${grey} ${r}%`, ...above].join(", ")})`;
    el("bar-low").textContent = number(-state.most);
    el("bar-high").textContent = number(state.most);
    el("bar-units").textContent = state.units;
  }

  // Another scene or method: volumes in, crosshair where it was in mm, if that is still inside.
  async function show(scene, method, at) {
    const mine = ++turn;
    el("busy").textContent = "loading";
    const next = await complete(scene);
    const entry = next.maps.find((m) => m.method === method) ?? next.maps[0];
    const newBrain = await packed(next.brain, next, "brain.nii", null);
    const newMap = await packed(entry.volume, next, "map.nii", newBrain.img);
    const atlas = Number(el("atlas")?.value ?? -1);
    const number_ = atlas >= 0 ? next.labels[atlas] : null;
    const [newLabels, newDrawn] = number_ === null || number_ === undefined
      ? [null, null]
      : [await plain(number_, next, "labels.nii"), await plain(number_, next, "outline.nii")];
    if (mine !== turn) return; // something else was chosen meanwhile
    const kept = at ?? (nv.volumes.length > 0 && state.scene >= 0 && data.scenes[state.scene].space === next.space
      ? Array.from(nv.frac2mm(nv.scene.crosshairPos)).slice(0, 3)
      : null);
    for (const old of [...nv.volumes]) nv.removeVolume(old);
    Object.assign(state, {
      scene, method: entry.method, most: entry.most > 0 ? entry.most : 1, step: newMap.hdr.scl_slope,
      units: data.methods[entry.method]?.units ?? "", atlas, region: -1,
    });
    [brain, map, labels, drawn] = [newBrain, newMap, newLabels, newDrawn];
    newMap.hdr.scl_slope = 1;
    [brain.colormap, brain.cal_min, brain.cal_max] = ["voxplain-brain", 0, data.greys];
    nv.addVolume(brain);
    nv.addVolume(map);
    if (drawn) {
      const most = drawn.img.reduce((a, b) => Math.max(a, b), 1);
      const all = Array.from({ length: most + 1 }, (_, n) => n);
      drawn.setColormapLabel({ R: all.map(() => 255), G: all.map(() => 255), B: all.map(() => 255), A: all.map(() => 0), I: all, labels: all.map(String) });
      drawn.full = drawn.img.slice();
      nv.addVolume(drawn);
    }
    choices(next, entry);
    regionTable();
    outline();
    // The share of the brain that is shown stays, unless the threshold was moved by hand.
    if (state.share === null) paint();
    else top(state.share);
    move(kept ?? entry.start);
    el("busy").textContent = "";
    section.dataset.scene = next.key;
    section.dataset.method = entry.method;
  }

  function choices(scene, entry) {
    el("scene").value = String(state.scene);
    const select = el("method");
    select.replaceChildren();
    for (const m of scene.maps) option(select, m.method, m.method);
    select.value = entry.method;
    el("about").textContent = scene.about;
    const outside = entry.outside >= 0.005 ? ` ${number(100 * entry.outside, 2)} % of |relevance| lies outside the ${organ} and is not shown.` : "";
    const range = entry.most > 0
      ? `Colours end at ± ${number(entry.most)}, the 99.5th percentile of |value| in the ${organ}; values are kept to ± ${number(state.step / 2, 2)}.`
      : `The map is 0 in the whole ${organ}.`;
    const sign = data.methods[entry.method]?.sign;
    el("map-about").textContent = `${sign ? `Sign: ${sign}. ` : ""}${range}${outside}`;
    if (entry.file) {
      const link = document.createElement("a");
      [link.href, link.download, link.textContent] = [entry.file, "", "The map as NIfTI"];
      el("map-about").append(" ", link);
    }
    el("space").textContent = scene.space;
  }

  const index = ([i, j, k]) => i + map.hdr.dims[1] * (j + map.hdr.dims[2] * k);
  const inside = (v) => v.every((x, a) => x >= 0 && x < map.hdr.dims[a + 1]);
  const place = (n) => [n % map.hdr.dims[1], Math.floor(n / map.hdr.dims[1]) % map.hdr.dims[2], Math.floor(n / (map.hdr.dims[1] * map.hdr.dims[2]))];
  const world = (v) => {
    const a = map.hdr.affine;
    return [0, 1, 2].map((r) => a[r][0] * v[0] + a[r][1] * v[1] + a[r][2] * v[2] + a[r][3]);
  };

  function move(mm) {
    if (!mm) return;
    nv.scene.crosshairPos = nv.mm2frac(mm).map((x) => Math.min(Math.max(x, 0), 1));
    nv.drawScene();
    located();
  }

  function step(axis, by) {
    const v = [...state.voxel];
    v[axis] += by;
    if (inside(v)) move(world(v));
  }

  // What lies under the crosshair, in words; the region's row is marked and, if asked for, outlined.
  function located() {
    if (!map) return;
    const v = Array.from(nv.frac2vox(nv.scene.crosshairPos)).slice(0, 3).map(Math.round);
    state.voxel = v;
    if (!inside(v)) return;
    const n = index(v);
    const mm = world(v);
    el("place").textContent = ["x", "y", "z"].map((axis, a) => `${axis} ${minus(mm[a].toFixed(1))}`).join("  ");
    const value = map.img[n] * state.step;
    const size = Math.abs(value) / state.most;
    el("value").textContent = brain.img[n] > 0 ? `${number(value)} ${state.units}`.trim() : `outside the ${organ}`;
    el("value").dataset.value = String(value);
    el("value").dataset.size = String(size);
    const id = labels ? labels.img[n] : 0;
    const region = id > 0 ? data.atlases[state.atlas].regions[id] : undefined;
    if (el("region")) el("region").textContent = region ? region.words : labels ? "in no region" : "no atlas here";
    if (id !== state.region) {
      state.region = id;
      for (const row of section.querySelectorAll("tr[aria-current]")) row.removeAttribute("aria-current");
      const row = el("panel")?.querySelector(`tr[data-region="${id}"]`);
      if (row) {
        row.setAttribute("aria-current", "true");
        const box = row.closest(".scroll");
        const top = row.offsetTop - box.clientHeight / 2;
        if (row.offsetTop < box.scrollTop || row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top;
      }
      if (el("outline")?.value === "one") outline();
    }
  }

  function outline() {
    if (!drawn) return;
    const kind = el("outline").value;
    const keep = kind === "all" ? () => true : kind === "one" && state.region > 0 ? (id) => id === state.region : () => false;
    drawn.img.set(drawn.full.map((id) => (keep(id) ? id : 0)));
    nv.setAtlasOutline(kind === "none" ? 0 : 0.9);
  }

  // What the map shown does in each region: as `voxplain regions` measures it inside a mask, here that of the brain.
  function measure() {
    const regions = new Map();
    let [voxels, total] = [0, 0];
    for (let n = 0; n < map.img.length; n++) {
      const [id, value] = [labels.img[n], map.img[n]];
      if (brain.img[n] === 0) continue;
      voxels += 1;
      total += Math.abs(value);
      if (id === 0 || !(id in data.atlases[state.atlas].regions)) continue;
      let r = regions.get(id);
      if (!r) regions.set(id, (r = { id, voxels: 0, sum: 0, size: 0, peak: -1, at: n }));
      r.voxels += 1;
      r.sum += value;
      r.size += Math.abs(value);
      if (Math.abs(value) > r.peak) [r.peak, r.at] = [Math.abs(value), n];
    }
    for (const r of regions.values()) {
      r.mean = (r.sum / r.voxels) * state.step;
      r.enrichment = total > 0 ? r.size / total / (r.voxels / voxels) : NaN;
    }
    return [...regions.values()].sort((a, b) => b.enrichment - a.enrichment || a.id - b.id);
  }

  function regionTable() {
    const body = el("panel");
    if (!body) return;
    body.replaceChildren();
    if (!labels) return;
    for (const r of measure()) {
      const row = document.createElement("tr");
      row.dataset.region = r.id;
      const name = document.createElement("th");
      name.scope = "row";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = data.atlases[state.atlas].regions[r.id].words;
      button.addEventListener("click", () => move(world(place(r.at))));
      name.append(button);
      row.append(name);
      for (const text of [number(r.enrichment, 3), number(r.mean, 3), String(r.voxels)]) {
        const cell = document.createElement("td");
        cell.textContent = text;
        row.append(cell);
      }
      body.append(row);
    }
  }

  // The least |value| of the largest `share` of the brain.
  function top(share) {
    state.share = share;
    const sizes = [];
    for (let n = 0; n < map.img.length; n++) if (brain.img[n] > 0) sizes.push(Math.abs(map.img[n]));
    sizes.sort((a, b) => b - a);
    const least = sizes[Math.min(sizes.length - 1, Math.max(0, Math.ceil(share * sizes.length) - 1))] ?? 0;
    el("threshold").value = String(Math.min(100, (100 * least * state.step) / state.most));
    paint();
  }

  function views() {
    const kinds = { all: 3, axial: 0, coronal: 1, sagittal: 2, render: 4 };
    nv.setSliceType(kinds[el("view").value]);
  }

  // Keys on the picture. The library's own are kept off: some open dialogues.
  const KEYS = {
    ArrowLeft: () => step(0, -1), ArrowRight: () => step(0, 1), ArrowDown: () => step(1, -1), ArrowUp: () => step(1, 1),
    PageDown: () => step(2, -1), PageUp: () => step(2, 1),
    "+": () => change("threshold", 2), "-": () => change("threshold", -2),
    m: () => cycle("method", 1), M: () => cycle("method", -1), s: () => cycle("scene", 1), S: () => cycle("scene", -1),
    v: () => cycle("view", 1),
  };
  function change(name, by) {
    el(name).value = String(Number(el(name).value) + by);
    el(name).dispatchEvent(new Event("input"));
  }
  function cycle(name, by) {
    const select = el(name);
    select.selectedIndex = (select.selectedIndex + by + select.options.length) % select.options.length;
    select.dispatchEvent(new Event("change"));
  }

  const report_ = (error) => {
    el("busy").textContent = error.message;
    el("scene").value = String(state.scene);
  };
  const showIt = (scene, method, at) => show(scene, method, at).catch(report_);

  // To the viewer, from elsewhere in the page.
  function lead() {
    const fold = section.querySelector(":scope > details");
    if (fold) fold.open = true;
    section.scrollIntoView({ block: "start" });
  }

  function listen() {
    el("scene").addEventListener("change", () => showIt(Number(el("scene").value), el("method").value));
    el("method").addEventListener("change", () => showIt(state.scene, el("method").value));
    el("atlas")?.addEventListener("change", () => showIt(state.scene, state.method));
    el("opacity").addEventListener("input", paint);
    el("threshold").addEventListener("input", () => {
      state.share = null;
      paint();
    });
    for (const name of ["sign", "colours"]) el(name).addEventListener("change", paint);
    for (const button of section.querySelectorAll("button[data-top]")) {
      button.addEventListener("click", () => top(Number(button.dataset.top)));
    }
    el("view").addEventListener("change", views);
    el("outline")?.addEventListener("change", outline);
    el("voxels").addEventListener("change", () => nv.setInterpolation(el("voxels").checked));
    const canvas = el("canvas");
    for (const kind of ["keydown", "keyup"]) {
      canvas.addEventListener(kind, (event) => {
        event.stopImmediatePropagation();
        const act = KEYS[event.key];
        if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        if (kind === "keydown") act();
      }, true);
    }
    canvas.addEventListener("dblclick", (event) => event.stopImmediatePropagation(), true);
    // Rows of the page's own tables, and the cards of subjects, lead here.
    for (const row of document.querySelectorAll(`[data-of="${report}"][data-row]`)) {
      const [cell] = row.querySelectorAll("td");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.title = "show in the viewer";
      cell.replaceChildren(button);
      button.addEventListener("click", async () => {
        const atlas = data.atlases.findIndex((a) => a.name === row.dataset.atlas);
        if (atlas >= 0) el("atlas").value = String(atlas);
        await showIt(state.scene, row.dataset.method);
        const there = el("panel")?.querySelector(`tr[data-region="${CSS.escape(row.dataset.row)}"] button`);
        there?.click();
        lead();
      });
    }
    // Peaks of tests lead to their place in the test's own maps.
    for (const row of document.querySelectorAll(`tr[data-of="${report}"][data-mm]`)) {
      const scene = data.scenes.findIndex((s) => s.key === row.dataset.scene);
      if (scene < 0) continue;
      const cell = row.querySelector("th");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.title = "show in the viewer";
      cell.replaceChildren(button);
      button.addEventListener("click", async () => {
        await showIt(scene, state.scene === scene ? state.method : "", row.dataset.mm.split(",").map(Number));
        lead();
      });
    }
    for (const button of document.querySelectorAll(`button[data-of="${report}"][data-subject]`)) {
      const scene = data.scenes.findIndex((s) => s.key === button.dataset.subject);
      if (scene < 0) continue;
      button.hidden = false;
      button.addEventListener("click", async () => {
        await showIt(scene, state.method);
        lead();
      });
    }
  }

  function fill() {
    for (const group of [true, false]) {
      const box = document.createElement("optgroup");
      box.label = group ? "Groups" : "Subjects";
      data.scenes.forEach((s, n) => {
        if (s.group === group) option(box, String(n), s.title);
      });
      if (box.children.length > 0) el("scene").append(box);
    }
    for (const name of Object.keys(data.colours)) option(el("colours"), name, data.colours[name].title);
    if (el("atlas")) {
      data.atlases.forEach((a, n) => option(el("atlas"), String(n), a.name));
    }
  }

  async function start() {
    const probe = document.createElement("canvas").getContext("webgl2");
    if (!probe) return fallBack("This browser draws no WebGL2, which the viewer needs.");
    probe.getExtension("WEBGL_lose_context")?.loseContext();
    if (!window.DecompressionStream) return fallBack("This browser is too old for the viewer.");
    if (!window.niivue) await run({ text: await (await inflate(el("library").textContent)).text() });
    if (!window.niivue) return fallBack("This browser does not let the page run the viewer.");
    nv = new niivue.Niivue({
      logLevel: "error", loadingText: "", dragAndDropEnabled: false, dragMode: 0, show3Dcrosshair: true,
      showAllOrientationMarkers: true, isRadiologicalConvention: false, multiplanarShowRender: 1, multiplanarForceRender: true, multiplanarLayout: 2,
      crosshairColor: [0.1, 0.7, 0.35, 1], crosshairWidth: 0.7, crosshairWidthUnit: "mm", fontMinPx: 15, fontColor: [0.85, 0.85, 0.85, 1], isColorbar: false, sagittalNoseLeft: false,
      tileMargin: 4, isOrientCube: false,
    });
    await nv.attachToCanvas(el("canvas"));
    el("canvas").setAttribute("tabindex", "0");
    nv.onLocationChange = located;
    colourMaps();
    fill();
    listen();
    await show(0, data.first);
    section.classList.add("ready");
  }

  section.hidden = false;
  start().catch((error) => fallBack(`The viewer could not start (${error.message}).`));
})();
