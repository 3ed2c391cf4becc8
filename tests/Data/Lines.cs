namespace Trainer.Data.Tests;

/// <summary>Collects progress lines at once, where <see cref="Progress{T}"/> would deliver them later.</summary>
internal sealed class Lines(List<string> lines) : IProgress<string>
{
    public void Report(string value) => lines.Add(value);
}
