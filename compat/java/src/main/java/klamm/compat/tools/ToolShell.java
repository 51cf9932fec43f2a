package klamm.compat.tools;

import org.apache.kafka.common.utils.Exit;

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

/**
 * Runs the main methods of Kafka's command line tools one after the other in this process, which
 * saves a start of the JVM for each. (Not for tools that do their last work in shutdown hooks.)
 * Reads lines {@code class TAB stdin TAB stdout TAB stderr TAB arg...} where the three are files,
 * and answers each with the exit code.
 */
public final class ToolShell {
    /** What a tool's call of exit becomes, so that the shell outlives it. */
    private static final class ExitCalled extends Error {
        private static final long serialVersionUID = 1;

        final int code;

        ExitCalled(int code) {
            super(null, null, false, false);
            this.code = code;
        }
    }

    private static Integer firstCode;

    private ToolShell() {}

    public static void main(String[] args) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        PrintStream answers = System.out;
        Exit.setExitProcedure(ToolShell::exit);
        Exit.setHaltProcedure(ToolShell::exit);
        Exit.setShutdownHookAdder((name, hook) -> {});
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(run(line.split("\t", -1)));
        }
        Runtime.getRuntime().halt(0);
    }

    /** The first code counts: some tools exit again while the first exit unwinds. */
    private static void exit(int code, String message) {
        if (firstCode == null) {
            firstCode = code;
        }
        throw new ExitCalled(firstCode);
    }

    private static int run(String[] command) throws Exception {
        firstCode = null;
        try (InputStream in = new FileInputStream(command[1]);
                PrintStream out = new PrintStream(command[2]);
                PrintStream err = new PrintStream(command[3])) {
            System.setIn(in);
            System.setOut(out);
            System.setErr(err);
            return call(command[0], Arrays.copyOfRange(command, 4, command.length));
        }
    }

    private static int call(String tool, String[] args) throws ReflectiveOperationException {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) args);
            return firstCode == null ? 0 : firstCode;
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof ExitCalled exit) {
                return exit.code;
            }
            thrown.getCause().printStackTrace(System.err);
            return 1;
        }
    }
}
