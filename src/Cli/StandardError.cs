namespace Trainer.Cli;

/// <summary>Tells what is going on, a line at a time, on standard error.</summary>
internal sealed class StandardError : IProgress<string>
{
    /// <inheritdoc/>
    public void Report(string value) => Console.Error.WriteLine(value);
}
