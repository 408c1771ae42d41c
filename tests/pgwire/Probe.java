// What a BI tool does by pgjdbc; each line of output is compared with what one PostgreSQL gives.
import java.sql.*;
import java.util.Properties;

public class Probe {
    static void show(String title, ResultSet rows) throws SQLException {
        ResultSetMetaData meta = rows.getMetaData();
        StringBuilder head = new StringBuilder(title + ":");
        for (int i = 1; i <= meta.getColumnCount(); i++) {
            head.append(' ').append(meta.getColumnLabel(i)).append('/').append(meta.getColumnTypeName(i));
        }
        System.out.println(head);
        while (rows.next()) {
            StringBuilder line = new StringBuilder();
            for (int i = 1; i <= meta.getColumnCount(); i++) line.append('|').append(rows.getString(i));
            System.out.println(line);
        }
    }

    public static void main(String[] given) throws Exception {
        Properties options = new Properties();
        options.setProperty("user", given[1]);
        options.setProperty("password", given[2]);
        options.setProperty("prepareThreshold", "3");
        try (Connection c = DriverManager.getConnection(given[0], options)) {
            DatabaseMetaData meta = c.getMetaData();
            try (ResultSet columns = meta.getColumns(null, "sales", "people", null)) {
                while (columns.next()) {
                    System.out.println(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
                }
            }
            try (ResultSet keys = meta.getPrimaryKeys(null, "sales", "people")) {
                System.out.println("keys " + keys.next());
            }
            try (PreparedStatement s = c.prepareStatement("select id, name, since, score, active from sales.people where id = ?")) {
                for (int n = 0; n < 12; n++) {
                    s.setInt(1, n % 5);
                    show("prepared", s.executeQuery());
                }
            }
            try (PreparedStatement s = c.prepareStatement("select * from sales.spending where name = ? and total > ? order by 1")) {
                for (int n = 0; n < 7; n++) {
                    s.setString(1, "Ann");
                    s.setBigDecimal(2, new java.math.BigDecimal("1.50"));
                    show("merged", s.executeQuery());
                }
            }
            try (PreparedStatement s = c.prepareStatement("select placed from shop.orders where placed >= ? order by 1")) {
                s.setTimestamp(1, Timestamp.valueOf("2024-01-01 10:00:00"));
                show("moments", s.executeQuery());
            }
            c.setAutoCommit(false);
            try (Statement s = c.createStatement()) {
                s.setFetchSize(100);
                long sum = 0;
                try (ResultSet rows = s.executeQuery("select id, label from crm.many")) {
                    while (rows.next()) sum += rows.getLong(1);
                }
                System.out.println("fetched " + sum);
                s.setFetchSize(2);
                show("small fetches", s.executeQuery("select * from sales.spending order by 1"));
            }
            c.commit();
            c.setReadOnly(true);
            try (Statement s = c.createStatement()) {
                show("read only", s.executeQuery("select count(*) from crm.many"));
            }
            c.commit();
            c.setReadOnly(false);
            c.setAutoCommit(true);
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(1);
                s.executeQuery("select count(*) from generate_series(1, 2000000000) g, crm.customers");
                System.out.println("no timeout");
            } catch (SQLException error) {
                System.out.println("timeout " + error.getSQLState());
            }
            try (Statement s = c.createStatement()) {
                s.executeQuery("select nope from crm.customers");
            } catch (SQLException error) {
                System.out.println(error.getSQLState() + " " + error.getMessage());
            }
            try (Statement s = c.createStatement()) {
                System.out.println("made " + s.executeUpdate("create temp table t as select id, name from crm.customers"));
                show("temporary", s.executeQuery("select t.name from t join crm.customers using (id) order by t.id"));
            }
        }
    }
}
