namespace Trainer.Configuration.Layers;

/// <summary>Settings from the command line, <c>training.steps=100</c>; a later one wins over an earlier one.</summary>
internal static class OverrideLayer
{
    public static Layer Read(IReadOnlyList<string> overrides, ICollection<Problem> problems)
    {
        var layer = new Layer();
        foreach (var text in overrides)
        {
            if (ReadOne(text, problems) is { } one)
                layer.Absorb(one);
        }
        return layer;
    }

    private static Layer? ReadOne(string text, ICollection<Problem> problems)
    {
        var equals = text.IndexOf('=');
        if (equals > 0)
            return LooseValue.Read(text[..equals].Trim().Split('.'), text[(equals + 1)..], $"from --set {text}", problems);
        var fault = equals < 0 ? "has no \"=\"" : "has no path before \"=\"";
        problems.Add(new Problem("", $"--set \"{text}\" {fault}; write --set path=value, such as --set training.steps=100"));
        return null;
    }
}
