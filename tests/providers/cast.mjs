// asciinema's own player, which loads a cast and plays it to its end.
//
//   cast.mjs CAST
//
// Prints one JSON object: {"title" (of the header),
// "duration" (in seconds, as it plays), "markers", "text" (on the terminal at
// the end), "problems" (errors of the player or of the page)}.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withPage } from './page.mjs';

const [cast] = process.argv.slice(2);
const bundle = join(process.env.DBACCESS_TEST_TOOLS, 'node/node_modules/asciinema-player/dist/bundle');
const problems = [];
await withPage(async (page) => {
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('dialog', (dialog) => dialog.dismiss().then(() => problems.push('a dialog')));
  await page.setContent('<!doctype html><div id="player"></div>');
  await page.addStyleTag({ path: join(bundle, 'asciinema-player.css') });
  await page.addScriptTag({ path: join(bundle, 'asciinema-player.min.js') });
  const data = await readFile(cast, 'utf8');
  const played = await page.evaluate(async (data) => {
    const place = document.getElementById('player');
    const problems = [];
    const logger = { log() {}, debug() {}, info() {}, warn: (...what) => problems.push(what.join(' ')), error: (...what) => problems.push(what.join(' ')) };
    const player = window.AsciinemaPlayer.create({ data }, place, { logger, preload: true });
    const ended = new Promise((resolve) => player.addEventListener('ended', resolve));
    await player.play();
    const duration = await player.getDuration();
    await player.seek(Math.max(0, duration - 0.1));
    await player.play();
    await ended;
    return { duration, problems };
  }, data);
  const lines = await page.locator('.ap-line').allTextContents();
  const text = lines.map((line) => line.trimEnd()).join('\n').trimEnd();
  const markers = await page.locator('.ap-marker').count();
  const title = JSON.parse(data.split('\n')[0]).title;
  const pwned = await page.evaluate('window.pwned');
  if (pwned) problems.push('something of the cast ran');
  console.log(JSON.stringify({ title, markers, text, duration: played.duration, problems: [...problems, ...played.problems] }));
}, problems);
