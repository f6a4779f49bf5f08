// What a tool does over JDBC, one line of answer for each step. Started by test_jdbc.py.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.JDBCType;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.util.TimeZone;
import org.postgresql.util.PSQLException;

public class JdbcWalk {
    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
            metadata(connection);
            prepared(connection);
            types(connection);
            pieces(connection);
            error(connection);
        }
    }

    static void metadata(Connection connection) throws SQLException {
        try (ResultSet tables = connection.getMetaData().getTables(null, "public", "trades", null)) {
            while (tables.next()) {
                System.out.println("tables " + tables.getString("TABLE_NAME"));
            }
        }
        StringBuilder line = new StringBuilder("columns");
        try (ResultSet columns = connection.getMetaData().getColumns(null, "public", "trades", "%")) {
            while (columns.next()) {
                JDBCType type = JDBCType.valueOf(columns.getInt("DATA_TYPE"));
                line.append(' ').append(columns.getString("COLUMN_NAME")).append(':').append(type);
            }
        }
        System.out.println(line);
    }

    static void prepared(Connection connection) throws SQLException {
        String sql = "SELECT symbol, trades, volume FROM volumes WHERE symbol = ? AND volume > ?";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            String line = "";
            // From the fifth time on the driver prepares on the server and asks for binary.
            for (int round = 0; round < 8; round++) {
                statement.setString(1, "AAPL");
                statement.setLong(2, 1);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    line = "prepared " + rows.getString(1) + " " + rows.getLong(2) + " " + rows.getLong(3);
                }
            }
            System.out.println(line);
        }
    }

    static void types(Connection connection) throws SQLException {
        String sql = "SELECT price, amount, ts FROM trades WHERE price = ? AND ts > ?";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setDouble(1, 190.25);
            statement.setObject(2, OffsetDateTime.parse("2026-01-02T15:30:00Z"));
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                System.out.println("types " + rows.getDouble(1) + " " + rows.getBigDecimal(2) + " "
                    + rows.getObject(3, OffsetDateTime.class).toInstant());
            }
        }
    }

    static void pieces(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        long count = 0;
        long sum = 0;
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(50);
            try (ResultSet rows = statement.executeQuery("SELECT value FROM generate_series(1, 1000) AS g (value)")) {
                while (rows.next()) {
                    count++;
                    sum += rows.getLong(1);
                }
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
        System.out.println("pieces " + count + " " + sum);
    }

    static void error(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("SELECT prize FROM trades").close();
        } catch (PSQLException error) {
            System.out.println("error " + error.getSQLState() + " " + error.getServerErrorMessage().getPosition());
        }
    }
}
