using System.CommandLine;
using System.CommandLine.Parsing;
using System.Runtime.InteropServices;
using Trainer.Configuration;
using Trainer.Distributed;
using Trainer.Kernels;

namespace Trainer.Cli;

internal static class CommandLineApp
{
    /// <summary>Returns an <see cref="ExitCode"/>.</summary>
    internal static int Run(string[] args)
    {
        ParseResult parsed;
        try
        {
            // A text may begin with @, which is no file of further arguments.
            parsed = Root().Parse(args, new() { ResponseFileTokenReplacer = null });
        }
        // A validator asked for the value of an option that has none, or no valid one.
        catch (InvalidOperationException error) when (error.Source == "System.CommandLine")
        {
            Console.Error.WriteLine(error.Message);
            Console.Error.WriteLine($"See: dotnet run -- {(args is [var verb, ..] && !verb.StartsWith('-') ? verb + " " : "")}--help");
            return ExitCode.Wrong;
        }
        if (parsed.Errors.Count > 0) return Refuse(parsed);
        var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
        return Guard(() => parsed.Invoke(invocation), Console.Error.WriteLine);
    }

    /// <summary>Does work and turns what a user can mend into a message and an <see cref="ExitCode"/>.</summary>
    internal static int Guard(Func<int> work, Action<string> say)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is ConfigurationException or UsageException or LaunchException)
        {
            say(error.Message);
            return ExitCode.Wrong;
        }
        catch (ArgumentException error) when (error.ParamName == "path") // .NET's, of an empty one
        {
            say("a path on the command line is empty; is it that of a variable that is not set?");
            return ExitCode.Wrong;
        }
        catch (Exception error) when (error is UserException or IOException or UnauthorizedAccessException)
        {
            say(error.Message);
            return ExitCode.Failed;
        }
        catch (Exception error) when (MissingLibrary(error) is { } missing)
        {
            say($"libtorch could not be loaded: {MissingLibraryLine(missing.Message)} Build the program again: dotnet build.");
            return ExitCode.Failed;
        }
        catch (ExternalException error)
        {
            say($"libtorch: {error.Summary}");
            return ExitCode.Failed;
        }
    }

    private static RootCommand Root() => new("Trains small transformers from one JSON file.")
    {
        TrainCommand.Create(),
        BranchCommand.Create(),
        VerifyCommand.Create(),
        SweepCommand.Create(),
        PrepareCommand.Create(),
        CorpusCommand.Create(),
        TokenizerCommand.Create(),
        EvaluateCommand.Create(),
        ScoreCommand.Create(),
        GenerateCommand.Create(),
        EmbedCommand.Create(),
#if !TRAINING_ONLY
        ServeCommand.Create(),
#endif
        ConvertCommand.Create(),
        AdaptCommand.Create(),
        ImportCommand.Create(),
        ExportCommand.Create(),
        PlanCommand.Create(),
        ReportCommand.Create(),
        AttentionCommand.Create(),
        ReplayCommand.Create(),
        InspectCommand.Create(),
        DoctorCommand.Create(),
        SchemaCommand.Create(),
    };

    private static int Refuse(ParseResult parsed)
    {
        foreach (var error in parsed.Errors) Console.Error.WriteLine(error.Message);
        var verbs = new List<string>();
        for (SymbolResult? at = parsed.CommandResult; at is CommandResult { Command: not RootCommand } verb; at = at.Parent)
            verbs.Insert(0, verb.Command.Name + " ");
        Console.Error.WriteLine($"See: dotnet run -- {string.Concat(verbs)}--help");
        return ExitCode.Wrong;
    }

    // .NET lists every place it looked in; the line to read names the library that another one needs.
    private static string MissingLibraryLine(string message)
    {
        var lines = message.Split('\n');
        return Array.Find(lines, line => line.Contains(": ") && !line.StartsWith("Unable", StringComparison.Ordinal)) is { } line
            ? line.Trim() + "."
            : lines[0];
    }

    // The first call into libtorch may fail inside a type initialiser, which wraps the cause.
    private static DllNotFoundException? MissingLibrary(Exception? error) => error switch
    {
        null => null,
        DllNotFoundException missing => missing,
        _ => MissingLibrary(error.InnerException),
    };
}

internal static class ExitCode
{
    internal const int Done = 0;

    internal const int Failed = 1;

    internal const int Wrong = 2;

    /// <summary>Interrupted, with a checkpoint saved: 128 + SIGINT.</summary>
    internal const int Interrupted = 130;
}

internal sealed class StandardError : IProgress<string>
{
    public void Report(string value) => Console.Error.WriteLine(value);
}
