'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const by = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const all = data.statements;
  const narrow = matchMedia('(max-width: 760px)');
  const SKIP = 5e6; // what an arrow key skips, in played microseconds
  const FIRST = 200; // rows of a grid that are there before somebody scrolls

  // --- time: the session's own, and what is played of it ---------------------

  const end = data.pace[data.pace.length - 1][0];
  const between = (from, to, at) => {
    const stops = data.pace;
    let low = 0;
    let high = stops.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (stops[middle][from] <= at) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return 0;
    const a = stops[low - 1];
    const b = stops[low];
    if (!b) return a[to];
    return a[to] + ((b[to] - a[to]) * (at - a[from])) / (b[from] - a[from]);
  };
  const shortens = () => Boolean(by('idle') && by('idle').checked);
  const toPlayed = (at) => (shortens() ? between(0, 1, at) : at);
  const toSession = (played) => (shortens() ? between(1, 0, played) : Math.min(played, end));
  const length = () => toPlayed(end);

  // reading: somebody goes from statement to statement, and nothing is still to come.
  const state = { at: end, played: 0, playing: false, reading: true, chosen: all.length ? 0 : -1, speed: data.speed, last: 0 };

  const minutes = (us) => {
    const seconds = Math.floor(us / 1e6);
    const two = (number) => String(number).padStart(2, '0');
    const hours = Math.floor(seconds / 3600);
    return `${hours ? `${hours}:${two(Math.floor(seconds / 60) % 60)}` : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  };
  const clock = (us) => new Date(data.begins + us / 1000).toISOString();
  const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, '\u2009');

  // The last statement that had begun then.
  const begun = (at) => {
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (all[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  const endOf = (statement) => statement.end ?? end;
  const there = (statement, at) => {
    if (at >= endOf(statement)) return statement.grid.length;
    let rows = 0;
    for (const [when, count] of statement.arrived) {
      if (when > at) break;
      rows = count;
    }
    return rows;
  };

  // --- SQL -------------------------------------------------------------------

  const paint = (into, statement) => {
    let from = 0;
    for (const [size, kind] of statement.parts) {
      const text = statement.text.slice(from, from + size);
      into.append(kind === ' ' ? document.createTextNode(text) : make('span', kind, text));
      from += size;
    }
    return into;
  };
  // A line of it; where something was only said to the reader, a mark is left.
  const LINE = 160;
  const paintLine = (into, statement) => {
    let [from, used] = [0, 0];
    for (const [size, kind] of statement.parts) {
      const text = statement.text.slice(from, from + size).slice(0, LINE - used).replace(/\s+/g, ' ');
      from += size;
      if (kind === 'c') into.append(make('span', 'c', '… '));
      if (kind === 'c' || (!used && !text.trim())) continue;
      used += text.length;
      into.append(kind === ' ' ? document.createTextNode(text) : make('span', kind, text));
      if (used >= LINE) break;
    }
    if (!used) into.replaceChildren(make('span', 'c', statement.text.slice(0, LINE)));
    return into;
  };

  // --- the list: only what is seen is there ----------------------------------

  const scroll = by('scroll');
  // Statements that fit, and where each is among them; with the marks between them,
  // lines, and on which line a statement is.
  const list = { shown: [], order: [], lines: [], places: [], key: '' };
  const longest = all.reduce((most, one) => Math.max(most, one.took_us), 1000);
  const share = (us) => (us < 100 ? 3 : Math.max(3, (100 * Math.log10(us / 100)) / Math.log10(longest / 100)));

  const isLater = (one) => !state.reading && one.at > state.at;
  const isRunning = (one) => !state.reading && one.at <= state.at && endOf(one) > state.at;

  const item = (index) => {
    const one = all[index];
    const later = isLater(one);
    const runs = isRunning(one);
    const chosen = index === state.chosen;
    const names = ['item', one.failed && 'bad', later && 'later', runs && 'runs', chosen && 'chosen'];
    const element = make('div', names.filter(Boolean).join(' '));
    element.id = `s${index}`;
    element.dataset.index = index;
    element.setAttribute('role', 'option');
    element.setAttribute('aria-selected', chosen);
    element.setAttribute('aria-setsize', list.shown.length);
    element.setAttribute('aria-posinset', list.order[index] + 1);
    const took = make('span', 'took', one.took ?? '');
    if (one.took) {
      const bar = make('i');
      bar.style.width = `${share(one.took_us)}%`;
      took.append(bar);
    }
    const rows = one.failed ? 'failed' : one.rows ? `${number(one.rows)} ${one.rows === 1 ? 'row' : 'rows'}` : '';
    element.append(
      make('span', 'when', minutes(one.at)),
      paintLine(make('span', 'sql'), one),
      make('span', 'rows', rows),
      took,
    );
    return element;
  };

  // What is said between statements: who came and went, what is missing.
  const isAhead = ([at]) => !state.reading && at > state.at;
  const mark = (one) => {
    const element = make('div', isAhead(one) ? 'mark later' : 'mark');
    element.setAttribute('role', 'note');
    element.append(make('span', 'when', minutes(one[0])), make('span', '', one[2]));
    return element;
  };
  const line = (one) => (Array.isArray(one) ? mark(one) : item(one));
  const stage = (one) => {
    if (Array.isArray(one)) return isAhead(one) ? 'l' : 'd';
    return isLater(all[one]) ? 'l' : isRunning(all[one]) ? 'r' : 'd';
  };

  const rowHeight = () => (narrow.matches ? 62 : 40);
  const drawList = () => {
    const height = rowHeight();
    const first = Math.max(0, Math.floor(scroll.scrollTop / height) - 6);
    const last = Math.min(list.lines.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + 6);
    const seen = list.lines.slice(first, last);
    const states = seen.map(stage);
    const key = [first, last, height, state.chosen, list.lines.length, seen[0], states.join('')].join();
    if (key === list.key) return;
    list.key = key;
    by('space').style.height = `${list.lines.length * height}px`;
    by('rows').style.transform = `translateY(${first * height}px)`;
    by('rows').replaceChildren(...seen.map(line));
    if (seen.includes(state.chosen)) scroll.setAttribute('aria-activedescendant', `s${state.chosen}`);
    else scroll.removeAttribute('aria-activedescendant');
  };
  const reveal = () => {
    const place = list.places[state.chosen];
    if (place === undefined) return;
    const height = rowHeight();
    const top = place * height;
    if (top < scroll.scrollTop) scroll.scrollTop = Math.max(0, top - height);
    else if (top + height > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + 2 * height - scroll.clientHeight;
  };

  // What is searched of a statement, made once.
  const words = new Map();
  const wordsOf = (index) => {
    if (!words.has(index)) {
      const one = all[index];
      words.set(index, [one.text, one.said, ...one.grid.flat(), ...one.parameters].join('\n').toLowerCase());
    }
    return words.get(index);
  };
  const filter = () => {
    const sought = by('find').value.trim().toLowerCase();
    const bad = by('bad').checked;
    const fits = (index) => (!bad || all[index].failed) && (!sought || wordsOf(index).includes(sought));
    list.shown = [...all.keys()].filter(fits);
    const told = bad ? [] : data.marks.filter((one) => one[2].toLowerCase().includes(sought));
    [list.order, list.places, list.lines] = [[], [], []];
    list.shown.forEach((index, place) => {
      while (told.length && told[0][1] <= index) list.lines.push(told.shift());
      list.order[index] = place;
      list.places[index] = list.lines.push(index) - 1;
    });
    list.lines.push(...told);
    by('found').textContent = sought || bad ? `${number(list.shown.length)} of ${number(all.length)}` : '';
    by('none').hidden = list.lines.length > 0;
    scroll.hidden = !by('none').hidden;
    list.key = '';
    scroll.scrollTop = 0;
    reveal();
    drawList();
  };

  // --- one statement ---------------------------------------------------------

  const shown = { index: -1, rows: 0, body: null, ended: false };

  const fact = (name, value, className) => {
    const element = make('div');
    element.append(make('dt', '', name), make('dd', className, value));
    return element;
  };

  const drawDetail = () => {
    const one = all[state.chosen];
    if (!one) {
      by('detail').replaceChildren(make('p', 'aside', 'No statement was run.'));
      return;
    }
    const ended = state.at >= endOf(one);
    if (shown.index !== state.chosen || shown.ended !== ended) buildDetail(one, ended);
    growGrid(one);
  };

  const buildDetail = (one, ended) => {
    const fresh = shown.index !== state.chosen;
    Object.assign(shown, { index: state.chosen, rows: 0, body: null, ended });
    const head = make('div', 'head');
    const back = make('button', 'back', '‹ Statements');
    back.type = 'button';
    back.addEventListener('click', () => view('list'));
    head.append(back, make('h2', '', `Statement ${number(state.chosen + 1)} of ${number(all.length)}`));
    head.append(make('span', '', `ledger #${one.intent} · ${one.connection}`));
    const text = make('pre', 'text');
    text.tabIndex = 0;
    text.setAttribute('aria-label', 'SQL');
    paint(text, one);
    const parts = [head, text];
    if (one.cut) parts.push(make('p', 'aside', 'There is more of it: the ledger has all.'));
    if (one.parameters.length) {
      const values = make('dl', 'values');
      one.parameters.forEach((value, index) => {
        values.append(make('dt', '', `$${index + 1}`), make('dd', value === null ? 'null' : '', value ?? 'NULL'));
      });
      parts.push(values);
    }
    const facts = make('dl', 'facts');
    facts.append(fact('at', `${clock(one.at).slice(11, 23)} UTC`));
    if (ended && one.took) facts.append(fact('took', one.took));
    if (ended && one.bytes) facts.append(fact('bytes', number(one.bytes)));
    if (!one.failed || !ended) facts.append(fact('ended', ended ? one.said : 'running', ended ? 'good' : ''));
    parts.push(facts);
    if (ended && one.failed) parts.push(make('div', 'wrong', one.said));
    if (one.columns.length || one.grid.length) parts.push(grid(one));
    if (one.more_columns) parts.push(make('p', 'aside', `and ${number(one.more_columns)} more columns`));
    if (ended) {
      for (const [out, copied] of one.copied) {
        parts.push(make('p', 'aside', out ? 'Copied out' : 'Copied in'), make('pre', 'text', copied));
      }
      for (const notice of one.notices) parts.push(make('p', 'aside', `NOTICE: ${notice}`));
      if (one.left_out) {
        const more = make('p', 'aside', `${number(one.left_out)} more in the recording: `);
        more.append(make('code', '', `dbaccess recording show ${data.session}`));
        parts.push(more);
      }
      if (!data.recorded && one.rows && !one.failed) parts.push(make('p', 'aside', 'The rows are not in here.'));
    }
    by('detail').replaceChildren(...parts);
    if (fresh) by('detail').scrollTop = 0;
  };

  const grid = (one) => {
    const wrapper = make('div', 'grid');
    wrapper.tabIndex = 0;
    wrapper.setAttribute('role', 'region');
    wrapper.setAttribute('aria-label', 'Rows');
    const table = make('table');
    const head = make('tr');
    const columns = one.columns.length ? one.columns : (one.grid[0] ?? []).map((_, at) => [`column ${at + 1}`, '', false]);
    for (const [name, type, isNumber] of columns) {
      const cell = make('th', isNumber ? 'num' : '', name);
      cell.scope = 'col';
      if (type) cell.append(make('small', '', type));
      head.append(cell);
    }
    const top = make('thead');
    top.append(head);
    shown.body = make('tbody');
    table.append(top, shown.body);
    wrapper.append(table);
    wrapper.addEventListener('scroll', () => {
      if (wrapper.scrollTop + wrapper.clientHeight > wrapper.scrollHeight - 400) growGrid(one, FIRST);
    });
    wrapper.addEventListener('click', (event) => {
      const cell = event.target.closest('td');
      if (cell && !String(getSelection())) cell.classList.toggle('whole');
    });
    return wrapper;
  };

  // As many rows as have come; of those, as many as somebody wants to see.
  const growGrid = (one, more = 0) => {
    if (!shown.body) return;
    const came = there(one, state.at);
    if (came < shown.rows) {
      shown.body.replaceChildren();
      shown.rows = 0;
    }
    const wanted = state.playing ? came : Math.min(came, Math.max(FIRST, shown.rows + more));
    if (wanted <= shown.rows) return;
    const rows = document.createDocumentFragment();
    for (const values of one.grid.slice(shown.rows, wanted)) {
      const row = make('tr');
      values.forEach((value, at) => {
        const isNumber = one.columns[at] && one.columns[at][2];
        row.append(make('td', value === null ? 'null' : isNumber ? 'num' : '', value ?? 'NULL'));
      });
      rows.append(row);
    }
    shown.body.append(rows);
    shown.rows = wanted;
    const wrapper = shown.body.closest('.grid');
    if (state.playing && wrapper) wrapper.scrollTop = wrapper.scrollHeight;
  };

  const view = (name) => {
    document.body.dataset.view = name;
    if (name === 'list') {
      list.key = '';
      drawList();
      reveal();
    }
  };

  // --- the strip above the controls: every statement by when and how long ----

  const strip = by('strip');
  const probes = Object.fromEntries(
    ['accent', 'bad', 'line', 'soft'].map((name) => {
      const probe = make('span');
      probe.style.color = `var(--${name})`;
      probe.hidden = true;
      document.body.append(probe);
      return [name, probe];
    }),
  );
  const drawStrip = () => {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [strip.clientWidth, strip.clientHeight];
    if (!width) return;
    strip.width = width * ratio;
    strip.height = height * ratio;
    const pen = strip.getContext('2d');
    pen.scale(ratio, ratio);
    const colours = Object.fromEntries(Object.entries(probes).map(([name, probe]) => [name, getComputedStyle(probe).color]));
    const total = length() || 1;
    const x = (at) => (toPlayed(at) / total) * (width - 3) + 1.5;
    pen.fillStyle = colours.line;
    pen.fillRect(0, height - 1, width, 1);
    for (const bad of [false, true]) {
      pen.fillStyle = bad ? colours.bad : colours.accent;
      for (const one of all) {
        if (one.failed !== bad) continue;
        const from = x(one.at);
        const tall = 4 + ((height - 6) * share(one.took_us)) / 100;
        pen.globalAlpha = bad ? 1 : 0.45;
        pen.fillRect(from - 0.75, height - 1 - tall, Math.max(1.5, x(endOf(one)) - from), tall);
      }
    }
    pen.globalAlpha = 0.6;
    pen.fillStyle = colours.soft;
    for (const [at] of data.marks) pen.fillRect(x(at) - 0.5, 0, 1, height);
    pen.globalAlpha = 1;
  };

  // --- the player ------------------------------------------------------------

  const draw = () => {
    const seek = by('seek');
    seek.max = Math.ceil(length() / 1000);
    seek.value = Math.round(state.played / 1000);
    const current = Math.max(0, begun(state.at));
    const where = `${minutes(state.played)} of ${minutes(length())}, statement ${current + 1} of ${all.length}`;
    seek.setAttribute('aria-valuetext', where);
    const all_ = make('span', 'all', ` / ${minutes(length())}  ·  ${clock(state.at).slice(11, 19)} UTC`);
    by('clock').replaceChildren(minutes(state.played), all_);
    const told = data.marks.findLast(([at]) => at <= state.at);
    by('told').textContent = told ? told[2] : '';
    document.body.toggleAttribute('data-playing', state.playing);
    by('play').setAttribute('aria-label', state.playing ? 'Pause' : 'Play');
    drawList();
    drawDetail();
  };

  const choose = (index) => {
    if (index === state.chosen || index < 0 || index >= all.length) return;
    state.chosen = index;
    reveal();
  };
  const goTo = (played) => {
    state.played = Math.max(0, Math.min(played, length()));
    state.at = toSession(state.played);
    state.reading = false;
    choose(Math.max(0, begun(state.at)));
    draw();
  };
  // A statement with all that came of it.
  const stand = (index) => {
    if (index < 0 || index >= all.length) return;
    pause();
    state.at = endOf(all[index]);
    state.played = toPlayed(state.at);
    state.reading = true;
    choose(index);
    draw();
  };
  const step = (by_) => {
    const place = list.order[state.chosen];
    if (place !== undefined) return stand(list.shown[place + by_] ?? -1);
    const next = by_ > 0 ? list.shown.find((index) => index > state.chosen) : list.shown.findLast((index) => index < state.chosen);
    return stand(next ?? -1);
  };

  const tick = (now) => {
    if (!state.playing) return;
    const passed = Math.min(250, now - state.last) * 1000 * state.speed;
    state.last = now;
    goTo(state.played + passed);
    if (state.played >= length()) pause();
    else requestAnimationFrame(tick);
  };
  const play = () => {
    if (!all.length) return;
    if (state.played >= length()) goTo(0);
    state.playing = true;
    state.last = performance.now();
    if (narrow.matches) view('detail');
    draw();
    requestAnimationFrame(tick);
  };
  const pause = () => {
    state.playing = false;
    draw();
  };
  const toggle = () => (state.playing ? pause() : play());

  const speeds = [...by('speed').options].map((option) => Number(option.value));
  if (!speeds.includes(state.speed)) {
    const slower = speeds.filter((speed) => speed < state.speed).length;
    by('speed').add(new Option(`${state.speed}×`, state.speed), slower);
  }
  by('speed').value = String(state.speed);
  const faster = (by_) => {
    const select = by('speed');
    select.selectedIndex = Math.max(0, Math.min(select.options.length - 1, select.selectedIndex + by_));
    state.speed = Number(select.value);
  };

  const theme = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    drawStrip();
  };

  // --- what a person does ----------------------------------------------------

  by('play').addEventListener('click', toggle);
  by('previous').addEventListener('click', () => step(-1));
  by('next').addEventListener('click', () => step(1));
  by('theme').addEventListener('click', theme);
  by('help').addEventListener('click', () => by('keys').showModal());
  by('seek').addEventListener('input', () => goTo(Number(by('seek').value) * 1000));
  by('speed').addEventListener('change', () => (state.speed = Number(by('speed').value)));
  by('find').addEventListener('input', filter);
  by('bad').addEventListener('change', filter);
  by('find').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && list.shown.length) stand(list.shown[0]);
    else if (event.key === 'Escape') {
      by('find').value = '';
      filter();
      scroll.focus();
    }
  });
  if (by('idle')) {
    by('idle').addEventListener('change', () => {
      state.played = toPlayed(state.at);
      drawStrip();
      draw();
    });
  }
  scroll.addEventListener('scroll', drawList);
  scroll.addEventListener('click', (event) => {
    const element = event.target.closest('.item');
    if (!element) return;
    stand(Number(element.dataset.index));
    if (narrow.matches) view('detail');
  });

  const keys = {
    ' ': toggle,
    ArrowLeft: () => goTo(state.played - SKIP),
    ArrowRight: () => goTo(state.played + SKIP),
    ArrowUp: () => step(-1),
    ArrowDown: () => step(1),
    p: () => step(-1),
    n: () => step(1),
    '+': () => faster(1),
    '=': () => faster(1),
    '-': () => faster(-1),
    Home: () => goTo(0),
    End: () => goTo(length()),
    '/': () => by('find').focus(),
    t: theme,
    '?': () => by('keys').showModal(),
    Enter: () => view('detail'),
    Escape: () => view('list'),
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || by('keys').open) return;
    const target = event.target;
    if (target.matches('input[type="search"], select')) return;
    if (target.matches('button, input[type="checkbox"]') && (event.key === ' ' || event.key === 'Enter')) return;
    // Rows and long texts scroll by themselves.
    if (target.matches('.grid, .text') && /^(Arrow|Home|End)/.test(event.key)) return;
    const does = keys[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });

  addEventListener('resize', () => {
    list.key = '';
    drawStrip();
    drawList();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawStrip);

  // All of it is there to be read; playing begins at the beginning.
  state.played = length();
  filter();
  drawStrip();
  draw();
})();
