using System.Diagnostics;

namespace Trainer.Cli.Tests;

/// <summary>What a finished command left behind.</summary>
internal sealed record Outcome(int ExitCode, string Output, string Error);

/// <summary>Runs a command of the repository the way a person would, from its root.</summary>
internal static class Command
{
    public static string Repository { get; } = FindRepository();

    /// <summary>Runs a command to its end. A variable set to null is taken away.</summary>
    public static Outcome Run(
        string file, string[] arguments, Dictionary<string, string?>? environment = null, string? folder = null, string input = "")
    {
        using var process = Process.Start(Start(file, arguments, environment, folder))!;
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new Outcome(process.ExitCode, output, error.Result);
    }

    /// <summary>How to start a command whose streams are ours.</summary>
    public static ProcessStartInfo Start(string file, string[] arguments, Dictionary<string, string?>? environment, string? folder)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = folder ?? Repository,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // A test host started by MSBuild carries MSBuild's own variables, which would steer the one started here.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("MSBuild", StringComparison.OrdinalIgnoreCase)).ToList())
            start.Environment.Remove(name);
        foreach (var (name, value) in environment ?? [])
            start.Environment[name] = value;
        return start;
    }

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Trainer.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException($"no Trainer.sln above {AppContext.BaseDirectory}");
        return folder.FullName;
    }
}
