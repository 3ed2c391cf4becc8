namespace Trainer.Checkpoints;

/// <summary>What a run may be called: its name becomes one directory.</summary>
public static class RunName
{
    /// <summary>What is wrong with a name, or <c>null</c>.</summary>
    public static string? Complaint(string name)
    {
        if (string.IsNullOrWhiteSpace(name)) return "must not be empty; it names the run's directory under runs/";
        bool plain = name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        return plain && name.Trim('.').Length > 0
            ? null
            : $"'{name}' must be made of letters, digits, '-', '_' and '.', for it names the run's directory under runs/";
    }
}
