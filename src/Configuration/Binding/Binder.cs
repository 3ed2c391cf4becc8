using System.ComponentModel.DataAnnotations;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

/// <summary>Binds the merged configuration strictly into records and collects all problems.</summary>
internal sealed class Binder
{
    private readonly List<Problem> problems;
    private readonly RecordBinder records;
    private readonly CollectionBinder collections;

    public Binder(List<Problem> problems)
    {
        this.problems = problems;
        records = new RecordBinder(this);
        collections = new CollectionBinder(this);
    }

    public object? BindRoot(Setting root, Type type)
    {
        TryBind(root, BindingTarget.Of(type, false, null, []), out var value);
        foreach (var (record, setting) in records.Bound)
        {
            foreach (var problem in record.Validate())
                problems.Add(Located(problem, setting));
        }
        return value;
    }

    /// <summary>Binds one setting, or its default where it is absent; false, with problems reported, if it cannot be bound.</summary>
    public bool TryBind(Setting setting, BindingTarget target, out object? value)
    {
        if (setting.Entry is { } entry && IsNull(entry, target))
            return TryNull(setting, target, out value);
        if (RecordShape.IsScalar(target.Type))
            return TryScalar(setting, target, out value) && KeepsRules(setting, target, value!);
        var bound = RecordShape.ItemType(target.Type) is { } item ? collections.TryList(setting, target, item, out value)
            : RecordShape.ValueType(target.Type) is { } element ? collections.TryDictionary(setting, target, element, out value)
            : records.TryRecord(setting, target, out value);
        return bound && KeepsRules(setting, target, value!);
    }

    /// <summary>Reports a fault with its origin and help; returns false for the caller to return.</summary>
    public bool Report(Setting setting, string fault, string help = "") => Report(setting.Path, fault, setting.Origin, help);

    public bool Report(string path, string fault, string? origin, string help)
    {
        problems.Add(new Problem(path, origin is null ? fault + help : $"{fault} ({origin}){help}"));
        return false;
    }

    public bool IsContainer(Setting setting, LayerEntryKind kind, BindingTarget target, string help = "") =>
        setting.Entry is not { } entry || entry.Kind == kind
        || Report(setting, $"{entry.Shown} is given where {target.Expected} is expected", help);

    private static bool IsNull(LayerEntry entry, BindingTarget target) =>
        entry.Kind == LayerEntryKind.Null || (entry.Kind == LayerEntryKind.Loose && target.Nullable && entry.Text == "null");

    private bool TryNull(Setting setting, BindingTarget target, out object? value)
    {
        value = null;
        return target.Nullable || Report(setting, $"null is given where {target.Expected} is expected");
    }

    private bool TryScalar(Setting setting, BindingTarget target, out object? value)
    {
        value = null;
        if (setting.Entry is not { } entry)
            return Report(setting, $"an object or list is given where {target.Expected} is expected");
        (value, var fault, var help) = ScalarReader.Read(entry, target);
        return fault is null || Report(setting, fault, help);
    }

    private bool KeepsRules(Setting setting, BindingTarget target, object value)
    {
        if (!setting.Exists)
            return true;
        var shown = value is string or Enum ? $"\"{setting.Entry?.Text}\"" : setting.Entry?.Text ?? "";
        var isList = RecordShape.ItemType(target.Type) is not null || RecordShape.ValueType(target.Type) is not null;
        var broken = target.Rules.Where(rule => !isList || ValidationRules.IsAboutCount(rule))
            .Select(rule => ValidationRules.Broken(rule, value, shown)).FirstOrDefault(found => found is not null);
        return broken is not { } found || Report(setting, found.Fault, $"; allowed: {found.Allowed}");
    }

    private static Problem Located(Problem problem, Setting record)
    {
        var at = record.Find(problem.Path);
        var origin = at.Entry is { Kind: not LayerEntryKind.Object } entry ? $" ({entry.Origin})" : "";
        return new Problem(at.Path, problem.Message + origin);
    }
}

/// <summary>What a setting is bound to; <c>Default</c> is what a partial setting is laid over, <c>Type</c> never a Nullable.</summary>
internal sealed record BindingTarget(Type Type, bool Nullable, object? Default, IReadOnlyList<ValidationAttribute> Rules)
{
    public static BindingTarget Of(Type type, bool nullable, object? fallback, IReadOnlyList<ValidationAttribute> rules) =>
        System.Nullable.GetUnderlyingType(type) is { } underlying
            ? new BindingTarget(underlying, true, fallback, rules)
            : new BindingTarget(type, nullable, fallback, rules);

    /// <summary>An item of this list, or a value of this dictionary. Rules about single values hold for each of them.</summary>
    public BindingTarget Item(Type type, object? fallback) =>
        Of(type, false, fallback, [.. Rules.Where(rule => !ValidationRules.IsAboutCount(rule))]);

    public string Expected =>
        Type == typeof(string) ? "text"
        : Type == typeof(bool) ? "true or false"
        : Type == typeof(int) || Type == typeof(long) ? "a whole number"
        : Type == typeof(double) || Type == typeof(float) ? "a number"
        : Type.IsEnum ? $"one of {string.Join(", ", RecordShape.EnumValues(Type).Select(value => value.Name))}"
        : RecordShape.ItemType(Type) is not null ? "a list"
        : "an object";
}
