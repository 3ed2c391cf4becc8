using System.Reflection;

namespace Trainer.Cli;

internal static class ThisProgram
{
    /// <summary>What starts this program again: its own file, or dotnet with its assembly.</summary>
    internal static string[] Command
    {
        get
        {
            var file = Environment.ProcessPath!;
            if (Path.GetFileNameWithoutExtension(file) != "dotnet") return [file];
            // Not the assembly's Location, which a program in a single file does not have.
            return [file, Path.Combine(AppContext.BaseDirectory, $"{Assembly.GetEntryAssembly()!.GetName().Name}.dll")];
        }
    }
}
