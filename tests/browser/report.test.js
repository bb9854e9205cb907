// Reports in a real browser: opened from disk, used, looked at.
//
//   node --test report.test.js
//
// VOXPLAIN_PAGES names a folder with a report each in demo/run/ and made/ (see .ci/run); CHROMIUM the browser (by default
// the chromium on the path); VOXPLAIN the command that serves (by default that of a debug build). With SCREENSHOTS=<folder> pictures are left there to be looked at.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rename, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { chromium } from "playwright-core";

const pages = path.resolve(process.env.VOXPLAIN_PAGES ?? "../../target/pages");
const demo = path.join(pages, "demo/run/report.html");
const made = path.join(pages, "made/report.html");
const HOSTILE = "<img src=x onerror=hacked=1>";
const voxplain = process.env.VOXPLAIN ?? "../../target/debug/voxplain";
const slow = 60_000;
let browser, bench;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
  bench = await browser.newPage();
}, { timeout: slow });
after(() => browser?.close());

// Opens a page from disk or a server; whatever it asks for or complains of is kept.
async function open(file, { size = { width: 1280, height: 1000 }, dark = false, before } = {}) {
  const context = await browser.newContext({ viewport: size, colorScheme: dark ? "dark" : "light" });
  const page = await context.newPage();
  const heard = { requests: [], errors: [] };
  page.on("request", (r) => /^(data|blob):/.test(r.url()) || heard.requests.push(r.url()));
  page.on("console", (m) => m.type() === "error" && heard.errors.push(m.text()));
  page.on("pageerror", (e) => heard.errors.push(String(e)));
  if (before) await page.addInitScript(before);
  await page.goto(/^http:/.test(file) ? file : pathToFileURL(file).href);
  return { page, heard, context };
}

async function viewer(page) {
  await page.waitForSelector(".viewer.ready, .viewer.failed", { timeout: slow });
  assert.equal(await page.locator(".viewer.failed").count(), 0, await page.locator(".viewer .note").first().textContent());
  const section = page.locator(".viewer");
  const report = (await section.getAttribute("id")).replace(/-viewer$/, "");
  return {
    section,
    part: (name) => page.locator(`#${report}-${name}`),
    text: async (name) => (await page.locator(`#${report}-${name}`).textContent()).trim(),
    choose: (name, value) => page.locator(`#${report}-${name}`).selectOption(value),
    slide: (name, value) => page.locator(`#${report}-${name}`).evaluate((slider, v) => {
      slider.value = v;
      slider.dispatchEvent(new Event("input"));
    }, String(value)),
    quiet: () => page.waitForFunction((id) => document.getElementById(id).textContent === "", `${report}-busy`, { timeout: slow }),
    place: async () => (await page.locator(`#${report}-place`).textContent()).replaceAll("\u2212", "-").match(/-?[\d.]+/g).map(Number),
  };
}

// Colours of an element as it is on the screen.
async function pixels(locator) {
  await locator.scrollIntoViewIfNeeded();
  const png = (await locator.screenshot()).toString("base64");
  return bench.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    const seen = new Set();
    const found = { colours: 0, warm: 0, cold: 0, warmLeft: 0, warmRight: 0 };
    for (let n = 0; n < data.length; n += 4) {
      const [r, g, b] = [data[n], data[n + 1], data[n + 2]];
      seen.add((r << 16) | (g << 8) | b);
      const warm = r - b > 70 && r > g + 10;
      if (warm) {
        found.warm += 1;
        (n / 4) % image.width < image.width / 2 ? (found.warmLeft += 1) : (found.warmRight += 1);
      }
      if (b - r > 60 && b > g + 10) found.cold += 1;
    }
    return { ...found, colours: seen.size };
  }, png);
}

async function shot(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`) });
}

for (const [name, file] of [["demo", demo], ["made", made]]) {
  for (const dark of [false, true]) {
    test(`${name}, ${dark ? "dark" : "light"}: opens from disk, fetches nothing, complains of nothing, shows a brain`, { timeout: slow }, async () => {
      assert.ok((await stat(file)).size < 10_000_000, "10 MB");
      const { page, heard, context } = await open(file, { dark });
      const v = await viewer(page);
      await v.part("canvas").scrollIntoViewIfNeeded();
      const seen = await pixels(v.part("canvas"));
      assert.ok(seen.colours > 200, `${seen.colours} colours`);
      assert.ok(seen.warm + seen.cold > 300, JSON.stringify(seen));
      const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      assert.equal(paper.every((c) => c < 60), dark, `background ${paper}`);
      assert.deepEqual(heard.errors, []);
      assert.deepEqual(heard.requests, [pathToFileURL(file).href]);
      await shot(page, `${name}-${dark ? "dark" : "light"}`);
      await context.close();
    });
  }
}

test("every brain is shown with its id as text, and every section can be reached", { timeout: slow }, async () => {
  const { page, heard, context } = await open(made);
  const section = page.locator("section[id$=-quality]");
  assert.equal(await section.locator("h2").textContent(), "Quality of the volumes");
  const brains = section.locator(".brains li");
  assert.equal(await brains.count(), 6);
  const pictures = await brains.locator("img").evaluateAll((all) => all.map((i) => [i.alt, i.complete && i.naturalWidth]));
  assert.ok(pictures.every(([alt, width]) => alt.includes("brain of") && width > 20), JSON.stringify(pictures));
  assert.ok(pictures.some(([alt]) => alt.includes(HOSTILE)));
  assert.equal(await brains.filter({ hasText: HOSTILE }).count(), 1);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  // Figures have words for those who cannot see them; links of the navigation lead somewhere.
  for (const stem of ["Calibration", "signed maps by", "Mean maps of all subjects (n = 6): where each method is strongest"]) {
    assert.equal(await page.locator(`svg[role=img][aria-label*="${stem}"]`).count(), 1, stem);
  }
  const targets = await page.locator("nav a").evaluateAll((all) => all.map((a) => a.getAttribute("href").slice(1)));
  assert.ok(targets.some((t) => t.endsWith("-quality")));
  for (const target of targets) assert.equal(await page.locator(`[id="${target}"]`).count(), 1, target);
  await section.scrollIntoViewIfNeeded();
  await shot(page, "quality");
  assert.deepEqual(heard.errors, []);
  await context.close();
});

test("the table moves the crosshair, and the crosshair marks the table", { timeout: slow }, async () => {
  const { page, heard, context } = await open(demo);
  const v = await viewer(page);
  const rows = v.part("panel").locator("tr");
  assert.ok((await rows.count()) > 5);
  const current = () => v.part("panel").locator("tr[aria-current]");
  const before = await v.place();
  for (const n of [3, 1]) {
    await rows.nth(n).locator("button").click();
    assert.equal(await v.text("region"), await rows.nth(n).locator("button").textContent());
    assert.equal(await current().count(), 1);
    assert.equal(await current().locator("button").textContent(), await v.text("region"));
  }
  assert.notDeepEqual(await v.place(), before);
  // A click on a slice: the region named and the row marked are the same, and the place is another.
  const there = await v.place();
  const box = await v.part("canvas").boundingBox();
  // By the canvas, not by the window: the page scrolls to it, however much stands above.
  await v.part("canvas").click({ position: { x: box.width * 0.25, y: box.height * 0.3 } });
  // A busy machine draws late: as long as it takes, and no longer.
  for (let tries = 0; tries < 100 && isDeepStrictEqual(await v.place(), there); tries++) await page.waitForTimeout(100);
  assert.notDeepEqual(await v.place(), there);
  const named = await v.text("region");
  assert.equal((await current().count()) === 1 ? await current().locator("button").textContent() : "in no region", named);
  // Rows of the page's own table lead to the viewer too, with their method.
  await page.locator("section[id$=-regions] article details > summary", { hasText: "Table" }).first().click();
  const row = page.locator("table.rows tbody tr").last();
  const [method, region] = [await row.getAttribute("data-method"), await row.locator("button").textContent()];
  await row.locator("button").click();
  await v.quiet();
  await page.waitForFunction((m) => document.querySelector(".viewer").dataset.method === m, method);
  await page.waitForTimeout(300);
  assert.ok((await v.text("region")).startsWith(region.replaceAll("_", " ")), `${await v.text("region")}, not ${region}`);
  assert.deepEqual(heard.errors, []);
  await context.close();
});

test("keys move the crosshair by a voxel and change what is shown", { timeout: slow }, async () => {
  const { page, context } = await open(demo);
  const v = await viewer(page);
  await v.part("canvas").focus();
  const steps = { ArrowRight: [1, 0, 0], ArrowLeft: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
  for (const [key, way] of Object.entries(steps)) {
    const from = await v.place();
    await page.keyboard.press(key);
    const to = await v.place();
    to.forEach((x, a) => assert.ok(Math.abs(x - from[a] - 4 * way[a]) < 0.06, `${key}: ${from} to ${to}`));
  }
  const method = await v.section.getAttribute("data-method");
  await page.keyboard.press("m");
  await page.waitForFunction((m) => document.querySelector(".viewer").dataset.method !== m, method);
  const threshold = await v.text("threshold-words");
  await page.keyboard.press("+");
  assert.notEqual(await v.text("threshold-words"), threshold);
  await context.close();
});

test("threshold, sign, opacity and colours change pixels as they say", { timeout: slow }, async () => {
  const { page, context } = await open(demo);
  const v = await viewer(page);
  await v.choose("view", "axial");
  const canvas = v.part("canvas");
  const at = async (threshold) => {
    await v.slide("threshold", threshold);
    const seen = await pixels(canvas);
    return seen.warm + seen.cold;
  };
  const [all, some, few] = [await at(0), await at(40), await at(95)];
  assert.ok(all > some && some > few, `${all}, ${some}, ${few}`);
  await v.slide("threshold", 30);
  await v.choose("sign", "above");
  const above = await pixels(canvas);
  await shot(page, "above");
  assert.ok(above.warm > 0 && above.cold === 0, JSON.stringify(above));
  await v.choose("sign", "below");
  const below = await pixels(canvas);
  await shot(page, "below");
  assert.ok(below.warm === 0, JSON.stringify(below));
  await v.choose("sign", "both");
  await v.slide("opacity", 0);
  const none = await pixels(canvas);
  assert.equal(none.warm + none.cold, 0);
  await context.close();
});

test("what is chosen is shown: subject and method, with the numbers that the library measures", { timeout: slow }, async () => {
  // Region by region: voxels, enrichment and mean, measured by the library inside the brain mask.
  const expected = JSON.parse(await readFile(path.join(pages, "made/regions.json"), "utf8"));
  const { page, context } = await open(made);
  const v = await viewer(page);
  const scenes = await v.part("index").evaluate((script) => JSON.parse(script.textContent).scenes.map((s) => s.key));
  for (const [subject, methods] of Object.entries(expected)) {
    await v.choose("scene", String(scenes.indexOf(`sub-${subject}`)));
    await page.waitForFunction((key) => document.querySelector(".viewer").dataset.scene === key, `sub-${subject}`);
    assert.ok((await v.text("about")).startsWith(`${subject} is `));
    for (const [method, regions] of Object.entries(methods)) {
      await v.choose("method", method);
      await page.waitForFunction((m) => document.querySelector(".viewer").dataset.method === m, method);
      const rows = await v.part("panel").locator("tr").evaluateAll((all) => all.map((r) => [r.dataset.region, ...[...r.querySelectorAll("td")].map((c) => Number(c.textContent.replace("\u2212", "-")))]));
      assert.equal(rows.length, Object.keys(regions).length);
      for (const [region, enrichment, mean, voxels] of rows) {
        const [n, e, m] = regions[region];
        assert.equal(voxels, n, `${subject} ${method} ${region}`);
        // Values are kept to a hundredth of the range of colours and shown with three digits.
        assert.ok(Math.abs(enrichment - e) < 0.02, `${subject} ${method} ${region}: ${enrichment}, not ${e}`);
        assert.ok(Math.abs(mean - m) < 0.02 * Math.max(1, Math.abs(m)), `${subject} ${method} ${region}: mean ${mean}, not ${m}`);
      }
    }
  }
  await context.close();
});

test("left is left", { timeout: slow }, async () => {
  // In the made run grad-cam is above 0 in the left hemisphere of everyone.
  const { page, context } = await open(made);
  const v = await viewer(page);
  await v.choose("method", "grad-cam");
  await v.quiet();
  for (const scene of ["group-all", "sub-a1"]) {
    await v.part("scene").evaluate((select, key) => {
      const index = JSON.parse(document.getElementById(select.id.replace("-scene", "-index")).textContent);
      select.value = String(index.scenes.findIndex((s) => s.key === key));
      select.dispatchEvent(new Event("change"));
    }, scene);
    await page.waitForFunction((key) => document.querySelector(".viewer").dataset.scene === key, scene);
    for (const view of ["axial", "coronal"]) {
      await v.choose("view", view);
      await v.slide("threshold", 20);
      const seen = await pixels(v.part("canvas"));
      assert.ok(seen.warmLeft > 500 && seen.warmRight < 0.02 * seen.warmLeft, `${scene} ${view}: ${JSON.stringify(seen)}`);
    }
  }
  await context.close();
});

test("an id that is markup comes out as text", { timeout: slow }, async () => {
  const { page, heard, context } = await open(made);
  const v = await viewer(page);
  const titles = await v.part("scene").locator("option").allTextContents();
  const hostile = titles.findIndex((t) => t.startsWith(HOSTILE));
  assert.ok(hostile >= 0, titles.join("; "));
  await v.part("scene").selectOption(titles[hostile]);
  await v.quiet();
  assert.ok((await v.text("about")).startsWith(HOSTILE));
  assert.equal(await page.locator("img[src=x]").count(), 0);
  assert.equal(await page.evaluate(() => typeof window.hacked), "undefined");
  assert.ok((await page.locator("body").textContent()).includes("<script>alert(1)</script>"));
  assert.deepEqual(heard.errors, []);
  await context.close();
});

test("volumes that the page has no room for come from files beside it", { timeout: slow }, async () => {
  const small = path.join(pages, "made-small/report.html");
  const { page, heard, context } = await open(small);
  const v = await viewer(page);
  const last = await v.part("scene").locator("option").last().getAttribute("value");
  await v.choose("scene", last);
  await v.quiet();
  assert.ok((await pixels(v.part("canvas"))).colours > 200);
  assert.equal(heard.requests.length, 2);
  assert.match(heard.requests[1], /^file:.*report_volumes\/\d+\.js$/);
  assert.deepEqual(heard.errors, []);
  await context.close();
  // Without them the page says so and shows what it has.
  const folder = path.join(pages, "made-small/report_volumes");
  await rename(folder, `${folder}-away`);
  try {
    const { page, context } = await open(small);
    const v = await viewer(page);
    await v.choose("scene", last);
    await page.waitForFunction(() => /which is not beside this page/.test(document.querySelector(".viewer [role=status]").textContent), undefined, { timeout: slow });
    assert.equal(await v.part("scene").inputValue(), "0");
    await context.close();
  } finally {
    await rename(`${folder}-away`, folder);
  }
});

test("from a server: the same report, volumes when they are looked at, nothing from elsewhere", { timeout: 2 * slow }, async () => {
  const server = spawn(voxplain, ["serve", path.dirname(demo)], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const { value: url } = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
    const { origin } = new URL(url);
    const { page, heard, context } = await open(url);
    const v = await viewer(page);
    await v.quiet();
    assert.deepEqual(heard.requests, [url, `${url}scenes/0.js`], "the first scene and no other");
    const scenes = await v.part("index").evaluate((script) => JSON.parse(script.textContent).scenes);
    const n = scenes.findIndex((s) => s.key.startsWith("sub-"));
    await v.choose("scene", String(n));
    await page.waitForFunction((key) => document.querySelector(".viewer").dataset.scene === key, scenes[n].key);
    const seen = await pixels(v.part("canvas"));
    assert.ok(seen.colours > 200 && seen.warm + seen.cold > 300, JSON.stringify(seen));
    await shot(page, "served");
    const numbers = () => v.part("panel").locator("tr").evaluateAll((rows) => rows.map((r) => r.textContent));
    const [told, link] = [await numbers(), await v.part("map-about").locator("a").getAttribute("href")];
    assert.ok(told.length > 5);
    assert.ok(heard.requests.every((r) => r.startsWith(`${origin}/`)), heard.requests.join(" "));
    assert.deepEqual(heard.requests.slice(2), [`${url}scenes/${n}.js`]);
    // Back to what was seen already: nothing is asked for again.
    await v.choose("scene", "0");
    await page.waitForFunction((key) => document.querySelector(".viewer").dataset.scene === key, scenes[0].key);
    assert.equal(heard.requests.length, 3);
    const map = Buffer.from(await (await fetch(url + link)).arrayBuffer());
    const method = await v.section.getAttribute("data-method");
    const id = scenes[n].key.slice("sub-".length);
    const file = path.join(path.dirname(demo), `sub-${id}`, `sub-${id}_desc-${method.replaceAll("-", "")}_attribution.nii.gz`);
    assert.ok(map.equals(await readFile(file)), "the map's own file");
    assert.deepEqual(heard.errors, []);
    await context.close();
    // The numbers are those of the page that carries its volumes.
    const carried = await open(demo);
    const w = await viewer(carried.page);
    const keys = await w.part("index").evaluate((script) => JSON.parse(script.textContent).scenes.map((s) => s.key));
    await w.choose("scene", String(keys.indexOf(scenes[n].key)));
    await carried.page.waitForFunction((key) => document.querySelector(".viewer").dataset.scene === key, scenes[n].key);
    assert.deepEqual(await w.part("panel").locator("tr").evaluateAll((rows) => rows.map((r) => r.textContent)), told);
    await carried.context.close();
  } finally {
    server.kill("SIGINT");
  }
});

test("two reports in one document do not meet", { timeout: slow }, async () => {
  const bodies = await Promise.all([demo, made].map(async (file) => (await readFile(file, "utf8")).match(/<body>([\s\S]*)<\/body>/)[1]));
  const head = (await readFile(demo, "utf8")).match(/<style>[\s\S]*<\/style>/)[0];
  const folder = await mkdtemp(path.join(tmpdir(), "voxplain-"));
  const both = path.join(folder, "both.html");
  await writeFile(both, `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>both</title>${head}</head><body>${bodies.map((b) => `<div>${b}</div>`).join("")}</body></html>`);
  const { page, heard, context } = await open(both);
  await page.waitForFunction(() => document.querySelectorAll(".viewer.ready").length === 2, undefined, { timeout: slow });
  const twice = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    return ids.filter((id, n) => ids.indexOf(id) !== n);
  });
  assert.deepEqual(twice, []);
  const places = () => page.locator(".viewer [id$=-place]").allTextContents();
  const before = await places();
  await page.locator(".viewer canvas").first().focus();
  await page.keyboard.press("ArrowRight");
  const after = await places();
  assert.notEqual(after[0], before[0]);
  assert.equal(after[1], before[1]);
  assert.deepEqual(heard.errors, []);
  await context.close();
});

test("without WebGL2 the figures remain, and the page says so", { timeout: slow }, async () => {
  const without = () => {
    const real = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
      return kind === "webgl2" ? null : real.call(this, kind, ...rest);
    };
  };
  const { page, heard, context } = await open(demo, { before: without });
  await page.waitForSelector(".viewer.failed", { timeout: slow });
  assert.match(await page.locator(".viewer .note").first().textContent(), /WebGL2.*figures below/);
  assert.equal(await page.locator(".viewer .works").isVisible(), false);
  assert.ok((await page.locator("figure svg").count()) > 3);
  assert.deepEqual(heard.errors, []);
  await context.close();
});

test("everything has a name for those who cannot see it", { timeout: slow }, async () => {
  const { page, context } = await open(demo);
  await viewer(page);
  const nameless = await page.evaluate(() => {
    const named = (e) => e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim();
    return [
      ...[...document.images].filter((i) => !i.alt),
      ...[...document.querySelectorAll("figure svg")].filter((s) => s.getAttribute("role") !== "img" || !s.getAttribute("aria-label")),
      ...[...document.querySelectorAll("select, input, button, canvas")].filter((e) => !named(e)),
      ...[...document.querySelectorAll("a[href^='#']")].filter((a) => !document.getElementById(a.getAttribute("href").slice(1))),
    ].map((e) => e.outerHTML.slice(0, 80));
  });
  assert.deepEqual(nameless, []);
  assert.equal(await page.locator("h1").count(), 1);
  assert.equal(await page.locator("main").count(), 1);
  // With the tab key alone one comes to every control of the viewer.
  const reached = new Set();
  await page.locator(".viewer select").first().focus();
  for (let n = 0; n < 14; n++) {
    reached.add(await page.evaluate(() => document.activeElement.id.replace(/^[^-]*-/, "") || document.activeElement.textContent));
    await page.keyboard.press("Tab");
  }
  for (const name of ["scene", "method", "view", "sign", "colours", "threshold", "opacity", "canvas"]) {
    assert.ok(reached.has(name), `${name}: ${[...reached]}`);
  }
  await context.close();
});

// What of an element does not fit where it stands.
const cut = () => {
  const wide = document.documentElement.clientWidth;
  const out = [];
  if (document.documentElement.scrollWidth > wide) out.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const table of document.querySelectorAll("table")) {
    const around = table.parentElement;
    const place = around.getBoundingClientRect();
    for (const cell of table.querySelectorAll("th, td")) {
      const box = cell.getBoundingClientRect();
      if (box.width === 0) continue;
      const words = `${cell.closest("section")?.id} ${cell.textContent.slice(0, 40)}`;
      if (box.left < -0.5 || box.right > wide + 0.5) out.push(`beyond the page: ${words}`);
      if (box.left < place.left - 0.5 || box.right > place.left + around.clientWidth + 1.5) out.push(`beyond its table: ${words}`);
      if (cell.scrollWidth > cell.clientWidth + 1) out.push(`clipped: ${words}`);
    }
  }
  return out;
};

for (const width of [1280, 1024]) {
  test(`no column is cut at ${width} px`, { timeout: slow }, async () => {
    for (const file of [demo, made]) {
      const { page, context } = await open(file, { size: { width, height: 900 } });
      await viewer(page);
      await page.evaluate(() => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
      assert.ok((await page.locator("table").count()) > 3);
      assert.deepEqual(await page.evaluate(cut), []);
      await shot(page, `${path.basename(path.dirname(file))}-${width}`);
      await context.close();
    }
  });
}

test("sections fold; a link opens what it leads into, and on paper all is open", { timeout: slow }, async () => {
  const { page, heard, context } = await open(demo);
  await viewer(page);
  const folds = page.locator("section > details");
  const count = await folds.count();
  assert.ok(count > 8);
  const tall = () => page.evaluate(() => document.documentElement.scrollHeight);
  const before = await tall();
  await page.getByRole("button", { name: "fold all" }).click();
  assert.equal(await page.locator("section > details[open]").count(), 0);
  assert.ok((await tall()) < before / 6, `${await tall()} of ${before}`);
  // Every entry of the contents leads to something that is then open, and seen.
  const links = page.locator("nav a");
  for (let n = 0; n < (await links.count()); n++) {
    const link = links.nth(n);
    const target = page.locator(`[id="${(await link.getAttribute("href")).slice(1)}"]`);
    await page.getByRole("button", { name: "fold all" }).click();
    await link.click();
    await page.waitForFunction((id) => document.getElementById(id).querySelector(":scope > details")?.open, await target.getAttribute("id"));
    assert.equal(await target.evaluate((e) => !e.closest("details:not([open])")), true);
    const top = await target.evaluate((e) => e.getBoundingClientRect().top);
    assert.ok(top < 900, `${await link.textContent()} at ${top}`);
  }
  // By the keyboard: a summary takes the focus, Enter folds and unfolds.
  const first = folds.first();
  const was = await first.evaluate((e) => e.open);
  await first.locator(":scope > summary").focus();
  await page.keyboard.press("Enter");
  assert.equal(await first.evaluate((e) => e.open), !was);
  await page.getByRole("button", { name: "fold all" }).click();
  // On paper, by the styles alone and by the browser's word.
  await page.emulateMedia({ media: "print" });
  const seen = () => page.locator("section[id$=-accuracy] table").first().evaluate((e) => e.getBoundingClientRect().height);
  assert.ok((await seen()) > 20);
  await page.emulateMedia({ media: "screen" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await page.locator("section > details:not([open])").count(), 0);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  assert.equal(await page.locator("section > details[open]").count(), 0);
  assert.deepEqual(heard.errors, []);
  await context.close();
  // An address with a name in a folded section.
  const id = await (async () => {
    const { page: other, context: own } = await open(demo);
    const found = await other.locator("section[id$=-how]").getAttribute("id");
    await own.close();
    return found;
  })();
  const opened = await browser.newContext({ viewport: { width: 1280, height: 1000 } });
  const there = await opened.newPage();
  await there.goto(`${pathToFileURL(demo).href}#${id}`);
  await there.waitForFunction((name) => document.getElementById(name).querySelector(":scope > details").open, id);
  await opened.close();
});

test("the viewer opens with the method that the page says", { timeout: slow }, async () => {
  const { page, context } = await open(demo);
  const v = await viewer(page);
  const says = await page.locator(".viewer p", { hasText: /^Opens with / }).textContent();
  assert.equal(await v.section.getAttribute("data-method"), says.match(/^Opens with ([a-z-]+)/)[1]);
  await context.close();
});

test("the truth of a simulated cohort has its section", { timeout: slow }, async () => {
  const { page, context } = await open(demo);
  await viewer(page);
  const section = page.locator("section[id$=-truth]");
  assert.match(await section.locator("p").first().textContent(), /The cohort is simulated.*left lateral ventricle/);
  assert.equal(await section.locator("figure svg").count(), 2);
  assert.ok((await section.locator("tbody tr").count()) >= 4);
  await section.scrollIntoViewIfNeeded();
  await shot(page, "truth");
  await context.close();
});
