// A person in front of the page that `dbaccess replay --html` writes.
//
//   replay.mjs long|hostile|broken PAGE [SCREENSHOTS]
//
// Clicks and types through it, and fails where it does not do what it should.
// Prints one JSON object: {"ready_ms", "items" (in the list at once), "text",
// "requests" (to anywhere), "problems" (errors, dialogs, what the page's policy
// refused)}. SCREENSHOTS is a directory.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { withPage } from './page.mjs';

const [kind, file, screenshots = ''] = process.argv.slice(2);
const address = pathToFileURL(file).href;
const [problems, requests] = [[], []];

// The page's policy lets nothing be evaluated in it, so that playwright's own
// way to wait for a condition does not work there.
const until = async (what, holds) => {
  const end = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

const long = async (page, shoot) => {
  const option = page.locator('[role=option][aria-selected=true]');
  const heading = page.locator('.detail h2');
  const clock = page.locator('#clock');
  assert.equal(await heading.innerText(), 'Statement 1 of 1\u2009000');
  const items = await page.locator('[role=option]').count();
  await shoot('1-opened');

  // What is said between statements stands between them, and with the player.
  const marks = page.locator('.mark');
  assert.match(await marks.first().innerText(), /0:00\s*\S+ connected/);
  const told = await page.locator('#told').innerText();
  assert.notEqual(told, '', 'all has been played: the last that was said');
  await page.locator('#find').fill('connected');
  assert.ok((await marks.count()) > 0, 'marks are found, too');
  await page.locator('#bad').check();
  assert.equal(await marks.count(), 0, 'a mark is no failure');
  await page.locator('#bad').uncheck();
  await page.locator('#find').fill('');
  await page.locator('#scroll').focus();

  // Step, by key and by button.
  await page.keyboard.press('n');
  await page.keyboard.press('ArrowDown');
  await page.getByRole('button', { name: 'Next statement' }).click();
  assert.equal(await heading.innerText(), 'Statement 4 of 1\u2009000');
  await page.keyboard.press('p');
  assert.equal(await heading.innerText(), 'Statement 3 of 1\u2009000');
  assert.match(await option.innerText(), /UPDATE orders/);

  // Click a statement; its rows are there, the first of them at once.
  const commented = page.locator('[role=option]', { hasText: 'o.id, c.email' }).first();
  assert.match(await commented.innerText(), /…\s*SELECT o\.id/, 'a comment is left out, and that is seen');
  await commented.click();
  assert.match(await heading.innerText(), /Statement 6 of/);
  assert.ok((await page.locator('.detail .k').count()) > 5, 'SQL is highlighted');
  assert.match(await page.locator('.detail thead').innerText(), /email\s*text/);
  await shoot('2-statement');

  // Far down the list.
  await page.locator('#scroll').evaluate((list) => (list.scrollTop = list.scrollHeight));
  await page.locator('#s999').click();
  assert.equal(await heading.innerText(), 'Statement 1\u2009000 of 1\u2009000');

  // Find, and only what failed.
  await page.keyboard.press('/');
  await page.keyboard.type('interval \'7 days\'');
  const found = await page.locator('#found').innerText();
  assert.match(found, /^\d+ of 1\u2009000$/);
  assert.ok(Number.parseInt(found, 10) < 50, found);
  await page.keyboard.press('Enter');
  assert.match(await page.locator('.detail .text').innerText(), /interval '7 days'/);
  await page.keyboard.press('Escape');
  await page.locator('#find').fill('no such words');
  await page.getByText('Nothing fits.').waitFor();
  await page.locator('#find').fill('');
  await page.locator('#bad').check();
  await page.locator('.item.bad').first().click();
  assert.match(await page.locator('.wrong').innerText(), /22P02 invalid input syntax/);
  await shoot('3-failed');
  await page.locator('#bad').uncheck();

  // A long result comes as it is scrolled.
  const rows = async () => page.locator('.detail tbody tr').count();
  await page.locator('#scroll').evaluate((list) => (list.scrollTop = 0));
  await page.locator('#find').fill('customer90@example.com');
  await page.locator('[role=option]').filter({ hasText: /(2[1-9]|3)\d rows/ }).first().click();
  assert.equal(await rows(), 200);
  await page.locator('.grid').evaluate((grid) => (grid.scrollTop = grid.scrollHeight));
  await until('more rows come', async () => (await rows()) > 200);
  await page.locator('#find').fill('');

  // Play from the beginning, faster, and pause.
  await page.locator('#scroll').focus();
  await page.keyboard.press('Home');
  assert.match(await clock.innerText(), /^0:00/);
  await page.keyboard.press('+');
  await page.keyboard.press('+');
  assert.equal(await page.locator('#speed').inputValue(), '4');
  assert.ok((await page.locator('.item.later').count()) > 0, 'what has not happened yet is faint');
  await page.locator('#speed').selectOption('16');
  await page.keyboard.press('Escape');
  await page.locator('#scroll').focus();
  await page.keyboard.press('Space');
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  await until('it plays', async () => (await clock.innerText()) >= '0:08');
  await shoot('4-playing');
  await page.getByRole('button', { name: 'Pause' }).click();
  const stood = await clock.innerText();
  const seek = page.locator('#seek');
  const at = Number(await seek.inputValue());
  assert.ok(at > 8000, stood);
  // Seek by key and by the slider.
  await page.keyboard.press('ArrowRight');
  assert.ok(Number(await seek.inputValue()) > at, 'the right arrow goes on');
  const box = await seek.boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const [half, end] = [Number(await seek.inputValue()), Number(await seek.getAttribute('max'))];
  assert.ok(Math.abs(half / end - 0.5) < 0.02, `${half} of ${end}`);
  assert.match(await seek.getAttribute('aria-valuetext'), /statement \d+ of 1000/);
  // As long as it was, if somebody wants that.
  await page.locator('#idle').uncheck();
  const length = Number(await seek.getAttribute('max'));
  assert.ok(length > end, `${length} ${end}`);
  await page.locator('#idle').check();

  // Rows come as they came.
  const slow = page.locator('[role=option]').filter({ hasText: 'o.id, c.email' }).first();
  await page.locator('#scroll').evaluate((list) => (list.scrollTop = 0));
  await slow.click();
  const all = await rows();
  await page.locator('#speed').selectOption('0.25');
  await page.locator('#scroll').focus();
  await page.evaluate(() => {
    window.counts = new Set();
    new MutationObserver(() => {
      const rows = document.querySelectorAll('.detail tbody tr').length;
      if (/6 of/.test(document.querySelector('.detail h2').textContent)) window.counts.add(rows);
    }).observe(document.querySelector('#detail'), { childList: true, subtree: true });
  });
  await page.keyboard.press('p');
  await page.keyboard.press('Space');
  await until('all rows came', () => page.evaluate((all) => window.counts.has(all), all));
  await page.keyboard.press('Space');
  const counts = await page.evaluate('[...window.counts].length');
  assert.ok(counts > 3, `the rows came in ${counts} pieces`);

  // Light and dark: as the machine is set, and by hand. The keys are told.
  const paper = async () => page.evaluate('getComputedStyle(document.body).backgroundColor');
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await paper();
  await page.emulateMedia({ colorScheme: 'light' });
  assert.notEqual(await paper(), dark);
  const before = await paper();
  await page.getByRole('button', { name: 'Light or dark' }).click();
  assert.notEqual(await paper(), before);
  await page.getByRole('button', { name: 'Light or dark' }).click();
  await page.keyboard.press('?');
  await page.getByRole('heading', { name: 'Keys' }).waitFor();
  await shoot('5-keys');
  await page.getByRole('button', { name: 'Close' }).click();

  // On a phone: a list, and a statement of it.
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = 'document.documentElement.scrollWidth > window.innerWidth';
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(wide), false, 'the list is wider than a phone');
  await page.locator('#scroll').evaluate((list) => (list.scrollTop = 0));
  await page.locator('[role=option]').nth(5).click();
  await heading.waitFor();
  assert.equal(await page.evaluate(wide), false, 'the statement is wider than a phone');
  await shoot('6-one');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole('button', { name: 'Statements' }).click();
  await page.locator('#scroll').waitFor();
  return { items };
};

const hostile = async (page, shoot) => {
  await shoot('hostile');
  const strange = await page.evaluate(
    "[window.pwned, document.scripts.length, document.querySelectorAll('img, main svg, iframe, [onerror], [onload]').length]",
  );
  assert.deepEqual(strange, [undefined, 2, 0]);
  const first = await page.locator('.detail').innerText();
  await page.keyboard.press('n');
  return { text: `${first}\n${await page.locator('.detail').innerText()}` };
};

// Where it breaks off stands between the statements, and with the player.
const broken = async (page, shoot) => {
  await shoot('broken');
  const breaks = /the recording is broken: chunk 1 .*is not played/;
  const lines = await page.locator('#rows > *').allInnerTexts();
  const [early, told] = [/SELECT early/, breaks].map((what) => lines.findIndex((line) => what.test(line)));
  assert.ok(early >= 0 && told > early, lines.join('\n'));
  assert.match(await page.locator('#told').innerText(), breaks);
  await page.locator('#scroll').focus();
  await page.keyboard.press('Home');
  assert.doesNotMatch(await page.locator('#told').innerText(), breaks);
  assert.match(await page.locator('.mark.later').innerText(), breaks);
  return {};
};

await withPage(async (page) => {
  await page.setViewportSize({ width: 1280, height: 800 });
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('dialog', (dialog) => dialog.dismiss().then(() => problems.push('a dialog')));
  page.on('request', (request) => {
    if (request.url() !== address) requests.push(request.url());
  });
  const shoot = async (name) => {
    if (!screenshots) return;
    for (const [how, width, height, colorScheme] of [
      ['phone-light', 390, 844, 'light'],
      ['phone-dark', 390, 844, 'dark'],
      ['laptop-dark', 1280, 800, 'dark'],
      ['laptop-light', 1280, 800, 'light'],
    ]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${screenshots}/${name}-${how}.png` });
    }
  };
  const from = performance.now();
  await page.goto(address);
  await page.locator('.detail h2').waitFor();
  const ready_ms = performance.now() - from;
  const seen = await { long, hostile, broken }[kind](page, shoot);
  console.log(JSON.stringify({ ready_ms, ...seen, requests, problems }));
}, problems);
