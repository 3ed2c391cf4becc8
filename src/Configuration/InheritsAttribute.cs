namespace Trainer.Configuration;

/// <summary>What an object under this property leaves out is taken from the property of the same name of the nearest enclosing record
/// that has one, which must be declared before. A property that is absent altogether stays null.</summary>
/// <remarks>So an item of a list can say only what differs: <c>"layerPattern": [{ "attention": { "kernel": "reference" } }]</c>.</remarks>
[AttributeUsage(AttributeTargets.Property)]
public sealed class InheritsAttribute : Attribute;
