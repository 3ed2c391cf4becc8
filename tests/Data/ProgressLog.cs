namespace Trainer.Data.Tests;

/// <summary>Collects progress lines synchronously, unlike <see cref="Progress{T}"/>.</summary>
internal sealed class ProgressLog(List<string> lines) : IProgress<string>
{
    public void Report(string value) => lines.Add(value);
}
