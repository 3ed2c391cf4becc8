namespace Trainer.Checkpoints;

/// <summary>Validates the name of a run, which names its directory.</summary>
public static class RunName
{
    /// <summary>What is wrong with a name, if anything.</summary>
    public static string? ValidationError(string name)
    {
        if (string.IsNullOrWhiteSpace(name)) return "must not be empty; it names the run's directory under runs/";
        bool plain = name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        return plain && name.Trim('.').Length > 0
            ? null
            : $"'{name}' must be made of letters, digits, '-', '_' and '.', for it names the run's directory under runs/";
    }
}
