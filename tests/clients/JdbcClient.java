import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** The JDBC driver as a client: what an ORM or a database GUI does. See README.md. */
public class JdbcClient {
  static final String ME = "jdbc";
  static final boolean WRITE = !"0".equals(System.getenv("DBACCESS_TEST_WRITE"));
  static final Set<String> REFUSED =
      Set.copyOf(new TreeSet<>(Arrays.asList(setting("DBACCESS_TEST_REFUSED", "").split(" "))));
  /** Runs for hours if nothing stops it, and needs no function. */
  static final String ENDLESS = "SELECT count(*) FROM readings a, readings b, readings c";

  interface Check {
    void run(Connection db) throws Exception;
  }

  static final Map<String, Check> CHECKS = new LinkedHashMap<>();

  static {
    CHECKS.put("extended", JdbcClient::extended);
    CHECKS.put("simple", JdbcClient::simple);
    CHECKS.put("prepared", JdbcClient::prepared);
    CHECKS.put("fetch_size", JdbcClient::fetchSize);
    CHECKS.put("interleaved_portals", JdbcClient::interleavedPortals);
    CHECKS.put("cancel", JdbcClient::cancel);
    CHECKS.put("errors", JdbcClient::errors);
    CHECKS.put("error_in_transaction", JdbcClient::errorInTransaction);
    CHECKS.put("notices", JdbcClient::notices);
    CHECKS.put("metadata", JdbcClient::metadata);
    CHECKS.put("result_metadata", JdbcClient::resultMetadata);
    CHECKS.put("read_only", JdbcClient::readOnly);
    CHECKS.put("large_text", JdbcClient::largeText);
    CHECKS.put("listen", JdbcClient::listen);
    CHECKS.put("copy_out", JdbcClient::copyOut);
    CHECKS.put("large_objects", JdbcClient::largeObjects);
    CHECKS.put("changes", JdbcClient::changes);
    CHECKS.put("batch", JdbcClient::batch);
    CHECKS.put("copy_in", JdbcClient::copyIn);
  }

  static final Set<String> WRITES = Set.of("large_objects", "changes", "batch", "copy_in");

  public static void main(String[] arguments) {
    int failed = 0;
    for (var check : CHECKS.entrySet()) {
      try {
        System.out.println(run(check.getKey(), check.getValue()));
      } catch (Exception | AssertionError error) {
        failed++;
        System.out.println("FAILED " + check.getKey());
        error.printStackTrace(System.out);
      }
    }
    System.exit(failed == 0 ? 0 : 1);
  }

  static String run(String name, Check check) throws Exception {
    boolean mustBeRefused = REFUSED.contains(name) || (WRITES.contains(name) && !WRITE);
    try (Connection db = connect()) {
      if (!mustBeRefused) {
        check.run(db);
        return "ok " + name;
      }
      try {
        check.run(db);
      } catch (SQLException error) {
        return "refused " + name + " (" + error.getSQLState() + ")";
      }
      throw new AssertionError("was not refused");
    }
  }

  static Connection connect() throws SQLException {
    String host = setting("PGHOST", "localhost");
    String url = "jdbc:postgresql://" + host + ":" + setting("PGPORT", "5432") + "/" + setting("PGDATABASE", "");
    Properties properties = new Properties();
    properties.setProperty("user", setting("PGUSER", "postgres"));
    properties.setProperty("password", setting("PGPASSWORD", ""));
    properties.setProperty("sslmode", setting("PGSSLMODE", "prefer"));
    properties.setProperty("ApplicationName", ME);
    return DriverManager.getConnection(url, properties);
  }

  static String setting(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }

  // --- reading ---------------------------------------------------------------

  static void extended(Connection db) throws SQLException {
    try (var query = db.prepareStatement("SELECT name, balance, tags, created FROM customers WHERE id = ?")) {
      query.setInt(1, 3);
      ResultSet row = query.executeQuery();
      same(true, row.next());
      same("Customer 3", row.getString(1));
      same(new BigDecimal("30.75"), row.getBigDecimal(2));
      same(List.of("t0", "all"), List.of((String[]) row.getArray(3).getArray()));
      same(1767236400L, row.getTimestamp(4).toInstant().getEpochSecond());
    }
  }

  static void simple(Connection db) throws SQLException {
    try (Statement statement = db.createStatement()) {
      same(true, statement.execute("SELECT 1; SELECT id FROM customers WHERE id < 4"));
      same(1, column(statement.getResultSet()).size());
      same(true, statement.getMoreResults());
      same(3, column(statement.getResultSet()).size());
    }
  }

  /** After five runs the driver names the statement on the server, and reads binary. */
  static void prepared(Connection db) throws SQLException {
    try (var query = db.prepareStatement("SELECT n, label FROM readings WHERE n = ?")) {
      for (int n = 1; n <= 20; n++) {
        query.setInt(1, n);
        ResultSet row = query.executeQuery();
        same(true, row.next());
        same(n, row.getInt(1));
        same("reading " + n, row.getString(2));
      }
    }
    for (int n = 0; n < 300; n++) {
      same(List.of("" + (n + 1)), rows(db, "SELECT id + " + n + " FROM customers WHERE id = 1"));
    }
  }

  static void fetchSize(Connection db) throws SQLException {
    db.setAutoCommit(false);
    try (var query = db.prepareStatement("SELECT n FROM readings ORDER BY n")) {
      query.setFetchSize(333);
      same(5000, column(query.executeQuery()).size());
      query.setMaxRows(10);
      same(10, column(query.executeQuery()).size());
    }
    db.commit();
  }

  static void interleavedPortals(Connection db) throws SQLException {
    db.setAutoCommit(false);
    try (var up = db.prepareStatement("SELECT n FROM readings ORDER BY n");
        var down = db.prepareStatement("SELECT n FROM readings ORDER BY n DESC")) {
      up.setFetchSize(50);
      down.setFetchSize(70);
      ResultSet rising = up.executeQuery();
      ResultSet falling = down.executeQuery();
      for (int n = 1; n <= 400; n++) {
        same(true, rising.next() && falling.next());
        same(5001, rising.getInt(1) + falling.getInt(1));
      }
    }
    db.rollback();
  }

  static void cancel(Connection db) throws SQLException {
    try (Statement statement = db.createStatement()) {
      statement.setQueryTimeout(1);
      refused("57014", () -> statement.executeQuery(ENDLESS));
    }
    same(List.of("1"), rows(db, "SELECT 1"));
  }

  static void errors(Connection db) throws SQLException {
    refused("42601", () -> rows(db, "SELEC 1"));
    refused("42703", () -> rows(db, "SELECT nothing FROM customers"));
    refused("22012", () -> rows(db, "SELECT 1 / (id - 1) FROM customers"));
    same(List.of("1"), rows(db, "SELECT 1"));
  }

  static void errorInTransaction(Connection db) throws SQLException {
    db.setAutoCommit(false);
    same(List.of("1"), rows(db, "SELECT 1"));
    var here = db.setSavepoint();
    refused("42703", () -> rows(db, "SELECT nothing"));
    refused("25P02", () -> rows(db, "SELECT 1"));
    db.rollback(here);
    same(List.of("2"), rows(db, "SELECT 2"));
    db.commit();
  }

  static void notices(Connection db) throws SQLException {
    try (Statement statement = db.createStatement()) {
      statement.execute("ROLLBACK");
      same("25P01", statement.getWarnings().getSQLState());
    }
  }

  static void metadata(Connection db) throws SQLException {
    var metadata = db.getMetaData();
    same("PostgreSQL", metadata.getDatabaseProductName());
    var tables = new TreeSet<>(column(metadata.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"}), 3));
    same(true, tables.containsAll(Set.of("customers", "orders", "readings", "scratch")));
    same(
        List.of("id", "name", "email", "balance", "tags", "profile", "created"),
        column(metadata.getColumns(null, "public", "customers", "%"), 4));
    // Keys are asked for by every GUI; a view in a table's place has none.
    metadata.getPrimaryKeys(null, "public", "orders").close();
    metadata.getImportedKeys(null, "public", "orders").close();
    metadata.getIndexInfo(null, "public", "orders", false, true).close();
    same(true, column(metadata.getSchemas(), 1).contains("public"));
    same(true, column(metadata.getTypeInfo(), 1).contains("int4"));
  }

  static void resultMetadata(Connection db) throws SQLException {
    try (var query = db.prepareStatement("SELECT id, balance AS owed FROM customers WHERE id = ?")) {
      var columns = query.getMetaData();
      same(List.of("id", "owed"), List.of(columns.getColumnLabel(1), columns.getColumnLabel(2)));
      same("numeric", columns.getColumnTypeName(2));
      same(1, query.getParameterMetaData().getParameterCount());
    }
  }

  static void readOnly(Connection db) throws SQLException {
    db.setReadOnly(true);
    db.setAutoCommit(false);
    same(List.of("on"), rows(db, "SHOW transaction_read_only"));
    db.commit();
    db.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    same(List.of("100"), rows(db, "SELECT count(*) FROM customers"));
    db.commit();
  }

  static void largeText(Connection db) throws SQLException {
    String text = "ü".repeat(3_000_000);
    try (var query = db.prepareStatement("SELECT ?::text")) {
      query.setString(1, text);
      same(List.of(text), column(query.executeQuery()));
    }
  }

  static void listen(Connection db) throws SQLException {
    try (Connection other = connect()) {
      other.createStatement().execute("LISTEN dbaccess_jdbc");
      db.createStatement().execute("NOTIFY dbaccess_jdbc, 'hello'");
      PGNotification[] heard = other.unwrap(PGConnection.class).getNotifications(10_000);
      same("hello", heard[0].getParameter());
    }
  }

  static void copyOut(Connection db) throws Exception {
    StringWriter text = new StringWriter();
    same(5000L, new CopyManager(db.unwrap(org.postgresql.core.BaseConnection.class))
        .copyOut("COPY (SELECT n FROM readings ORDER BY n) TO STDOUT", text));
    same(true, text.toString().endsWith("\n5000\n"));
  }

  // --- writing ---------------------------------------------------------------

  static void changes(Connection db) throws SQLException {
    clear(db);
    String insert = "INSERT INTO scratch (client, data) VALUES (?, ?)";
    try (var statement = db.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
      statement.setString(1, ME);
      statement.setBytes(2, new byte[] {0, -1});
      same(1, statement.executeUpdate());
      ResultSet keys = statement.getGeneratedKeys();
      same(true, keys.next() && keys.getInt("id") > 0);
    }
    db.setAutoCommit(false);
    clear(db);
    db.rollback();
    db.setAutoCommit(true);
    same(1, clear(db));
    refused("23505", () -> rows(db, "INSERT INTO orders VALUES (1, 1, 'again', 1, '2026-01-01') RETURNING id"));
  }

  static void batch(Connection db) throws SQLException {
    clear(db);
    try (var statement = db.prepareStatement("INSERT INTO scratch (client, number) VALUES (?, ?)")) {
      for (int n = 0; n < 1000; n++) {
        statement.setString(1, ME);
        statement.setInt(2, n);
        statement.addBatch();
      }
      same(1000, Arrays.stream(statement.executeBatch()).sum());
    }
    same(1000, clear(db));
  }

  static void copyIn(Connection db) throws Exception {
    clear(db);
    StringBuilder lines = new StringBuilder();
    for (int n = 0; n < 2000; n++) lines.append(ME).append('\t').append(n).append('\n');
    same(2000L, new CopyManager(db.unwrap(org.postgresql.core.BaseConnection.class))
        .copyIn("COPY scratch (client, number) FROM STDIN", new StringReader(lines.toString())));
    same(2000, clear(db));
  }

  /** By the fast-path protocol: function calls without SQL. */
  static void largeObjects(Connection db) throws SQLException {
    db.setAutoCommit(false);
    LargeObjectManager objects = db.unwrap(PGConnection.class).getLargeObjectAPI();
    long id = objects.createLO(LargeObjectManager.READ | LargeObjectManager.WRITE);
    try (LargeObject object = objects.open(id, LargeObjectManager.READ | LargeObjectManager.WRITE)) {
      object.write("kept in parts".getBytes(StandardCharsets.UTF_8));
      object.seek(5);
      same("in", new String(object.read(2), StandardCharsets.UTF_8));
    }
    objects.delete(id);
    db.commit();
  }

  // --- helpers ---------------------------------------------------------------

  static int clear(Connection db) throws SQLException {
    try (PreparedStatement statement = db.prepareStatement("DELETE FROM scratch WHERE client = ?")) {
      statement.setString(1, ME);
      return statement.executeUpdate();
    }
  }

  static List<String> rows(Connection db, String query) throws SQLException {
    try (Statement statement = db.createStatement()) {
      return column(statement.executeQuery(query));
    }
  }

  static List<String> column(ResultSet rows) throws SQLException {
    return column(rows, 1);
  }

  static List<String> column(ResultSet rows, int index) throws SQLException {
    List<String> values = new ArrayList<>();
    while (rows.next()) values.add(rows.getString(index));
    rows.close();
    return values;
  }

  interface Statements {
    void run() throws SQLException;
  }

  static void refused(String state, Statements statements) {
    try {
      statements.run();
    } catch (SQLException error) {
      same(state, error.getSQLState());
      return;
    }
    throw new AssertionError("expected an error with SQLSTATE " + state);
  }

  static void same(Object expected, Object found) {
    if (!expected.equals(found)) throw new AssertionError("expected " + expected + ", found " + found);
  }
}
