// Runs commands of the program one after the other, so that only the first pays for starting and compiling. A line of JSON for each, and a
// line with its exit code.
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

// A command that starts this program again, as sweep does, needs a process of its own.
if (args.Length > 0) throw new ArgumentException($"commands come by standard input, not as arguments: {string.Join(' ', args)}");
MethodInfo main = Assembly.Load("Trainer").EntryPoint!;
using StreamReader requests = new(Console.OpenStandardInput());
using StreamWriter answers = new(Console.OpenStandardOutput()) { AutoFlush = true };
while (requests.ReadLine() is { } line)
{
    HostedCommand command = JsonSerializer.Deserialize<HostedCommand>(line)!;
    Directory.SetCurrentDirectory(command.Folder);
    int code;
    using (StandardStreams.Redirect(command)) code = Run(command.Arguments);
    answers.WriteLine(code);
}

int Run(string[] arguments)
{
    try
    {
        return (int)main.Invoke(null, [arguments])!;
    }
    catch (TargetInvocationException error)
    {
        Console.Error.WriteLine(error.InnerException);
        return 134; // of a process that was aborted
    }
}

/// <summary>What to run, where, and the files that its standard streams are.</summary>
internal sealed record HostedCommand(string Folder, string[] Arguments, string Input, string Output, string Error);

/// <summary>This process' standard streams as files: those of .NET, and those of native libraries.</summary>
internal static partial class StandardStreams
{
    public static IDisposable Redirect(HostedCommand command)
    {
        Attach(command.Input, FileMode.Open, FileAccess.Read, 0);
        Attach(command.Output, FileMode.Create, FileAccess.Write, 1);
        Attach(command.Error, FileMode.Create, FileAccess.Write, 2);
        StreamWriter output = new(Console.OpenStandardOutput()), error = new(Console.OpenStandardError()) { AutoFlush = true };
        StreamReader input = new(Console.OpenStandardInput());
        Console.SetIn(input);
        Console.SetOut(output);
        Console.SetError(error);
        return new Streams(input, output, error);
    }

    private static void Attach(string path, FileMode mode, FileAccess access, int stream)
    {
        using SafeFileHandle file = File.OpenHandle(path, mode, access);
        if (dup2((int)file.DangerousGetHandle(), stream) < 0) throw new IOException($"{path} cannot be standard stream {stream}");
    }

    private sealed class Streams(params IDisposable[] all) : IDisposable
    {
        public void Dispose() => Array.ForEach(all, stream => stream.Dispose());
    }

    [LibraryImport("libc")]
    private static partial int dup2(int from, int to);
}
