namespace Trainer.Cli.Tests.Setup;

/// <summary>.ci/run: what it runs, how it adds up, and what it does not let pass.</summary>
public class ContinuousIntegrationTests
{
    private const string Passed =
        "Passed!  - Failed:     0, Passed:    53, Skipped:     0, Total:    53, Duration: 6 s - A.Tests.dll (net10.0)";
    private const string Failed =
        "Failed!  - Failed:     1, Passed:     2, Skipped:     4, Total:     7, Duration: 6 s - B.Tests.dll (net10.0)";

    [Fact]
    public void The_readme_names_the_command_that_is_run()
    {
        var lines = File.ReadAllLines(Path.Combine(Command.Repository, "README.md"));
        var marker = Array.IndexOf(lines, "<!-- ci:test -->");

        Assert.Equal(["```sh", "dotnet test", "```"], lines[(marker + 1)..(marker + 4)]);
    }

    [Fact]
    public void All_test_projects_are_added_up() => AssertEnds(0, "106 passed, 0 failed", $"echo '{Passed}'\necho '{Passed}'");

    [Fact]
    public void Failures_and_skipped_tests_are_counted() =>
        AssertEnds(1, "55 passed, 1 failed, 4 skipped", $"echo '{Passed}'\necho '{Failed}'\nexit 1");

    [Fact]
    public void A_failure_is_a_failure_even_where_the_command_succeeds() =>
        AssertEnds(1, "2 passed, 1 failed, 4 skipped", $"echo '{Failed}'");

    [Fact]
    public void A_crash_beside_passing_tests_fails() =>
        AssertEnds(3, "53 passed, 0 failed", $"echo '{Passed}'\nexit 3",
            ".ci/run: no test failed, but the command did (exit code 3); see above\n");

    [Fact]
    public void A_failing_setup_ends_the_run() => AssertEnds(2, "0 passed, 0 failed", $"(exit 2) && echo '{Passed}'");

    [Fact]
    public void Nothing_run_is_no_success() => AssertEnds(1, "0 passed, 0 failed", "true", ".ci/run: no test ran\n");

    [Fact]
    public void A_readme_without_the_block_is_an_error()
    {
        var outcome = Run("# Trainer\n\n```sh\ntrue\n```\n");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Equal(".ci/run: README.md has no fenced block after the line '<!-- ci:test -->'\n", outcome.Error);
    }

    private static void AssertEnds(int exitCode, string line, string command, string? error = null)
    {
        var outcome = Run($"# Trainer\n\n```sh\nexit 9\n```\n\n<!-- ci:test -->\n```sh\n{command}\n```\n\n```sh\nexit 9\n```\n");

        Assert.Equal(line, outcome.Output.TrimEnd('\n').Split('\n')[^1]);
        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Equal(error ?? outcome.Error, outcome.Error);
    }

    private static Outcome Run(string readme)
    {
        var folder = Directory.CreateTempSubdirectory("ci-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, ".ci"));
            File.Copy(Path.Combine(Command.Repository, ".ci/run"), Path.Combine(folder, ".ci/run"));
            File.WriteAllText(Path.Combine(folder, "README.md"), readme);
            return Command.Run("bash", [".ci/run"], folder: folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
