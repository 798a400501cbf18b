// A report's page in a real browser, from its file.
//
//   report.mjs PAGE [SCREENSHOTS]
//
// Prints one JSON object about what was seen: {"text", "scripts", "plots",
// "refused" (by the page's policy, or an error), "requests" (what it asked for),
// "wide" (widths that it is wider than), "dangling" (links to nowhere)}.
import { pathToFileURL } from 'node:url';
import { tool } from '../tools/from-tools.mjs';

const { default: playwright } = await tool('playwright-core');
const [file, screenshots = ''] = process.argv.slice(2);

const browser = await playwright.chromium.launch({
  executablePath: process.env.DBACCESS_TEST_BROWSER,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--host-resolver-rules=MAP * ~NOTFOUND'],
});
try {
  const page = await browser.newPage({ locale: 'en-US' });
  const refused = [];
  const requests = [];
  page.on('console', (message) => refused.push(message.text()));
  page.on('pageerror', (error) => refused.push(error.message));
  page.on('request', (request) => {
    if (!request.isNavigationRequest()) requests.push(request.url());
  });
  await page.goto(pathToFileURL(file).href);
  const wide = [];
  for (const [name, width, height] of [['phone', 390, 844], ['laptop', 1280, 800]]) {
    await page.setViewportSize({ width, height });
    if (await page.evaluate('document.documentElement.scrollWidth > window.innerWidth')) wide.push(name);
    for (const colorScheme of screenshots ? ['light', 'dark'] : []) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.evaluate('window.scrollTo(0, 0)');
      await page.screenshot({ path: `${screenshots}/report-${name}-${colorScheme}.png` });
      for (const place of ['R9.1', 'R9.2', 'accesses', 'check']) {
        await page.evaluate(`document.getElementById('${place}').scrollIntoView()`);
        await page.screenshot({ path: `${screenshots}/report-${name}-${colorScheme}-${place}.png` });
      }
    }
  }
  const dangling = await page.evaluate(
    "[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href').slice(1)).filter((id) => !document.getElementById(id))",
  );
  const scripts = await page.evaluate('document.scripts.length');
  const plots = await page.evaluate("document.querySelectorAll('svg[role=img][aria-label]').length");
  const text = await page.locator('body').innerText();
  console.log(JSON.stringify({ text, scripts, plots, refused, requests, wide, dangling }));
} finally {
  await browser.close();
}
