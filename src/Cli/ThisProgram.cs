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
            return Path.GetFileNameWithoutExtension(file) == "dotnet" ? [file, Assembly.GetEntryAssembly()!.Location] : [file];
        }
    }
}
