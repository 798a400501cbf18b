// node-postgres as a client: a pool, prepared statements, cursors, COPY streams.
// See README.md.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { once } from 'node:events';
import { tool } from '../tools/from-tools.mjs';

const { default: pg } = await tool('pg');
const { default: Cursor } = await tool('pg-cursor');
const { default: copy } = await tool('pg-copy-streams');

process.noDeprecation = true; // queueing on one connection is, and is still done
const ME = 'node';
const WRITE = process.env.DBACCESS_TEST_WRITE !== '0';
const REFUSED = (process.env.DBACCESS_TEST_REFUSED ?? '').split(' ');
// Runs for hours if nothing stops it, and needs no function.
const ENDLESS = 'SELECT count(*) FROM readings a, readings b, readings c';

const pool = new pg.Pool({ max: 5, allowExitOnIdle: true });
pool.on('error', () => {}); // an idle connection's end is not this program's

const one = async (db, text, values) => Object.values((await db.query({ text, values, rowMode: 'array' })).rows[0])[0];
const count = (db, text, values) => db.query(text, values).then(({ rowCount }) => rowCount);
const sqlstate = (state) => (error) => error.code === state || assert.fail(`${error.code}: ${error.message}`);

const checks = {
  async simple(db) {
    const results = await db.query('SELECT 1 AS one; SELECT id FROM customers WHERE id < 4 ORDER BY id');
    assert.deepEqual(results.map(({ rows }) => rows.length), [1, 3]);
  },

  async extended(db) {
    const { rows, fields } = await db.query('SELECT name, tags, profile, created FROM customers WHERE id = $1', [3]);
    assert.equal(rows[0].name, 'Customer 3');
    assert.deepEqual(rows[0].tags, ['t0', 'all']);
    assert.deepEqual(rows[0].profile, { level: 3 });
    assert.equal(rows[0].created.toISOString(), '2026-01-01T03:00:00.000Z');
    assert.deepEqual(fields.map(({ name }) => name), ['name', 'tags', 'profile', 'created']);
  },

  async prepared(db) {
    for (let id = 1; id < 40; id++) {
      const query = { name: 'email of', text: 'SELECT email FROM customers WHERE id = $1', values: [id] };
      assert.equal((await db.query(query)).rows[0].email, `customer${id}@example.com`);
    }
  },

  async binary(db) {
    const query = { text: 'SELECT n FROM readings WHERE n = $1', values: [42], binary: true };
    assert.equal((await db.query(query)).rows[0].n, 42);
  },

  async many_at_once() {
    const labels = await Promise.all(
      Array.from({ length: 200 }, (_, n) => one(pool, 'SELECT label FROM readings WHERE n = $1', [n + 1])),
    );
    assert.deepEqual(labels, labels.map((_, n) => `reading ${n + 1}`));
    assert.equal(pool.totalCount, 5);
  },

  async queued_on_one_connection(db) {
    const numbers = await Promise.all([1, 2, 3, 4, 5].map((n) => one(db, 'SELECT $1::int * 2', [n])));
    assert.deepEqual(numbers, [2, 4, 6, 8, 10]);
  },

  async cursor_in_parts(db) {
    const cursor = db.query(new Cursor('SELECT n FROM readings WHERE n > $1 ORDER BY n', [0]));
    let total = 0;
    for (let rows; (rows = await cursor.read(700)).length > 0; ) total += rows.length;
    await cursor.close();
    assert.equal(total, 5000);
    const abandoned = db.query(new Cursor('SELECT n FROM readings ORDER BY n'));
    assert.equal((await abandoned.read(10)).length, 10);
    await abandoned.close();
    assert.equal(await one(db, 'SELECT 1'), 1);
  },

  async large_text(db) {
    const text = 'ü'.repeat(3_000_000);
    assert.equal(await one(db, 'SELECT $1::text', [text]), text);
  },

  async errors(db) {
    await assert.rejects(db.query('SELEC 1'), sqlstate('42601'));
    await assert.rejects(db.query('SELECT nothing FROM customers'), sqlstate('42703'));
    await assert.rejects(db.query('SELECT nothing FROM customers WHERE id = $1', [1]), sqlstate('42703'));
    await assert.rejects(db.query('SELECT 1 / (id - $1) FROM customers', [1]), sqlstate('22012'));
    await assert.rejects(db.query('SELECT $1::integer', ['x']), sqlstate('22P02'));
    assert.equal(await one(db, 'SELECT 1'), 1);
  },

  async notices(db) {
    const notice = once(db, 'notice');
    await db.query('ROLLBACK');
    assert.equal((await notice)[0].code, '25P01');
  },

  async transactions(db) {
    await db.query('BEGIN');
    await assert.rejects(db.query('SELECT nothing'), sqlstate('42703'));
    await assert.rejects(db.query('SELECT 1'), sqlstate('25P02'));
    await db.query('ROLLBACK');
    await db.query('BEGIN READ ONLY; SAVEPOINT here');
    assert.equal(await one(db, 'SELECT 5'), 5);
    await db.query('ROLLBACK TO here; COMMIT');
  },

  async timeout(db) {
    await db.query("SET statement_timeout = '200ms'");
    await assert.rejects(db.query(ENDLESS), sqlstate('57014'));
    await db.query('RESET statement_timeout');
  },

  async listen(db) {
    const other = await pool.connect();
    try {
      await other.query('LISTEN dbaccess_node');
      const heard = once(other, 'notification');
      await db.query("NOTIFY dbaccess_node, 'hello'");
      assert.equal((await heard)[0].payload, 'hello');
    } finally {
      other.release(true);
    }
  },

  async copy_out(db) {
    const parts = [];
    for await (const part of db.query(copy.to('COPY (SELECT n FROM readings ORDER BY n) TO STDOUT'))) parts.push(part);
    const lines = Buffer.concat(parts).toString().trim().split('\n');
    assert.deepEqual([lines.length, lines.at(-1)], [5000, '5000']);
  },
};

const writes = {
  async changes(db) {
    await db.query('DELETE FROM scratch WHERE client = $1', [ME]);
    const insert = 'INSERT INTO scratch (client, data) VALUES ($1, $2) RETURNING id, data';
    const { rows } = await db.query(insert, [ME, Buffer.from([0, 255])]);
    assert.deepEqual(rows[0].data, Buffer.from([0, 255]));
    assert.equal(await count(db, 'UPDATE scratch SET number = 5 WHERE id = $1', [rows[0].id]), 1);
    assert.equal(await count(db, 'DELETE FROM scratch WHERE client = $1', [ME]), 1);
    const order = "INSERT INTO orders VALUES (1, 1, 'again', 1, '2026-01-01')";
    await assert.rejects(db.query(order), sqlstate('23505'));
  },

  async copy_in(db) {
    const lines = Array.from({ length: 2000 }, (_, n) => `${ME}\t${n}\n`);
    await pipeline(Readable.from(lines), db.query(copy.from('COPY scratch (client, number) FROM STDIN')));
    assert.equal(await count(db, 'DELETE FROM scratch WHERE client = $1', [ME]), 2000);
  },
};

async function run(name, check, mustBeRefused) {
  const db = await pool.connect();
  try {
    if (!mustBeRefused) {
      await check(db);
      return `ok ${name}`;
    }
    const error = await check(db).then(
      () => assert.fail('was not refused'),
      (error) => error,
    );
    // An error of the server, not one of this program's.
    if (!(error instanceof pg.DatabaseError)) throw error;
    return `refused ${name} (${error.code})`;
  } finally {
    db.release(mustBeRefused);
  }
}

let failed = 0;
for (const [name, check] of [...Object.entries(checks), ...Object.entries(writes)]) {
  try {
    console.log(await run(name, check, REFUSED.includes(name) || (name in writes && !WRITE)));
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}\n${error.stack}`);
  }
}
await pool.end();
process.exitCode = failed ? 1 : 0;
