using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>A process that runs commands of the program one after the other (tests/Cli/Host): one takes a fraction of the time that a
/// process of its own takes to start.</summary>
/// <remarks>For commands that end by themselves. What a process owns (signals, memory, the environment) is tested in processes of their
/// own.</remarks>
internal sealed class CommandHost
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "Trainer.Cli.Host.dll");
    private static readonly ConcurrentDictionary<int, ConcurrentBag<CommandHost>> Idle = new();

    private readonly Process process;

    private CommandHost(int threads)
    {
        var start = Command.Start("dotnet", [Program], new() { ["OMP_NUM_THREADS"] = $"{threads}" }, Command.Repository);
        start.RedirectStandardError = false;
        process = Process.Start(start)!;
    }

    /// <summary>Where commands can run in one: its standard streams become files by a call of Linux.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux();

    /// <summary>Runs a command to its end in a host that has so many threads.</summary>
    public static Outcome Run(int threads, string folder, string[] arguments, string input = "")
    {
        var idle = Idle.GetOrAdd(threads, _ => []);
        if (!idle.TryTake(out var host)) host = new CommandHost(threads);
        var outcome = host.Run(folder, arguments, input);
        if (!host.process.HasExited) idle.Add(host);
        return outcome;
    }

    private Outcome Run(string folder, string[] arguments, string input)
    {
        var streams = Directory.CreateTempSubdirectory("trainer-streams-").FullName;
        try
        {
            string[] files = [.. new[] { "in", "out", "error" }.Select(name => Path.Combine(streams, name))];
            File.WriteAllText(files[0], input);
            process.StandardInput.WriteLine(JsonSerializer.Serialize(
                new { Folder = folder, Arguments = arguments, Input = files[0], Output = files[1], Error = files[2] }));
            process.StandardInput.Flush();
            var answer = process.StandardOutput.ReadLine();
            if (answer is null) process.WaitForExit();
            return new Outcome(
                answer is null ? process.ExitCode : int.Parse(answer, CultureInfo.InvariantCulture), File.ReadAllText(files[1]),
                File.ReadAllText(files[2]));
        }
        finally
        {
            Directory.Delete(streams, recursive: true);
        }
    }
}
